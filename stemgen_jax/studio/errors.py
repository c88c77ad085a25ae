"""Errors of requests, with their status, and their texts."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import pydantic


class RequestError(Exception):
  """An error that the client can avoid.

  Attributes:
    status: status of the response.
  """

  status = 400


class MissingError(RequestError):
  """Nothing has this name."""

  status = 404


class ConflictError(RequestError):
  """The song is not in a state for this."""

  status = 409


class BusyError(RequestError):
  """Too much is in progress: the same request may succeed later."""

  status = 429


class TooLargeError(RequestError):
  """The body is too large, or its audio is too long."""

  status = 413


def invalid_field(errors: Sequence[Any], whole: str) -> str:
  """Return the first of pydantic's errors as "field: what is wrong".

  Args:
    errors: `errors()` of a validation error.
    whole: name of the body, for errors of no single field.
  """
  place = ".".join(map(str, errors[0]["loc"])) or whole
  return f"{place}: {errors[0]['msg']}"


def text_of(error: Exception) -> str:
  """Return an error as one line; print the trace of one that is our bug."""
  match error:
    case pydantic.ValidationError():
      return invalid_field(error.errors(), "message")
    case RequestError() | ValueError() | OSError() | MemoryError():
      return " ".join(str(error).split()) or type(error).__name__
  traceback.print_exception(error, file=sys.stderr)
  return (
    f"this is a bug in stemgen-jax ({type(error).__name__}: {error}); its "
    "trace is in the terminal"
  )
