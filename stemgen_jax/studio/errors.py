"""Errors of requests, with their status."""


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
  """Too much is in work: the same request may succeed later."""

  status = 429


class TooLargeError(RequestError):
  """The body is too large, or its audio is too long."""

  status = 413
