"""A study: one evaluation, run by `stemgen-jax evaluate --what=NAME`."""

import dataclasses
import importlib
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stemgen_jax.codec import backends
from stemgen_jax.evaluation.options import Options

if TYPE_CHECKING:
  from stemgen_jax.evaluation.subject import Subject

_LAST_SEED = 2**31 - 1  # numbers of examples and takes are added to it
_LEAST = {
  "examples": 2,
  "songs": 2,
  "seeds": 1,
  "bars": 1,
  "shown": 0,
  "variations": 0,
  "workers": 0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
  """One evaluation.

  Its module in `studies/` has `run(subject) -> dict` and `table(result) ->
  str`. It may have `prepare(options) -> Subject`, by default `Subject` itself,
  and `write(subject, result)` for files other than the JSON. The module is
  imported on first use, so that --help and invalid flags need no jax.

  Attributes:
    name: value of --what.
    flags: flags it takes besides --out, --weights and --seed.
    module: name of the module, if it is not `name`.
    file: name of the JSON file in --out without suffix, if it is not `name`.
    defaults: defaults of `Options` fields that are None.
    required: flags without which it cannot run, with an example of each.
    seconds: least and greatest --seconds.
  """

  name: str
  flags: tuple[str, ...] = ()
  module: str = ""
  file: str = ""
  defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  required: Mapping[str, str] = dataclasses.field(default_factory=dict)
  seconds: tuple[float, float] = (2.0, 60.0)

  def resolve(self, options: Options) -> Options:
    """Check options and fill in the study's defaults.

    Raises:
      ValueError: a value is out of range.
    """
    # Flags that were given win over the study's defaults.
    filled = {
      name: value
      for name, value in self.defaults.items()
      if getattr(options, name) is None
    }
    options = dataclasses.replace(options, **filled)
    backends.check(options.codec_backend)
    if not 0 <= options.seed <= _LAST_SEED:
      raise ValueError(f"--seed={options.seed}: expected 0 to {_LAST_SEED}")
    for name, least in _LEAST.items():
      value = getattr(options, name)
      if value is not None and value < least:
        raise ValueError(f"--{name}={value}: expected at least {least}")
    low, high = self.seconds
    if not low <= options.seconds <= high:
      raise ValueError(
        f"--seconds={options.seconds:g}: expected {low:g} to {high:g}"
      )
    return options

  def prepare(self, options: Options) -> "Subject":
    """Return the weights and examples of resolved options."""
    from stemgen_jax.evaluation.subject import Subject

    return getattr(self.load(), "prepare", Subject)(options)

  def load(self) -> types.ModuleType:
    """Import the module of the study, and with it jax."""
    name = self.module or self.name
    return importlib.import_module(f"stemgen_jax.evaluation.studies.{name}")
