"""Request takes: all that is checked before a model is loaded.

Nothing here imports jax or torch. The Python API and the commands make the
same `GenerationRequest` and validate it once. Errors quote the names of
arguments in backticks, which the command line replaces by those of flags.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories
from stemgen_jax.audio import Audio
from stemgen_jax.generation import inputs
from stemgen_jax.generation.inputs import Context
from stemgen_jax.generation.regions import Region
from stemgen_jax.generation.take import Take
from stemgen_jax.sampling.settings import SEEDS, Settings, preset

Progress = Callable[[int, int], object] | bool | None
"""True shows a bar on stderr if the work takes more than 2 s: redrawn on a
terminal and in a notebook, elsewhere a line every 5 s. A function is called
with the sampling steps just done and with their total number, after each step
of each window. False and None show nothing."""

DEFAULT_STEM = "bass"
_EXAMPLES = {"genre": "electronic", "role": "melodic"}


class Vary(NamedTuple):
  """Sample runs of half a second again, scattered over a take.

  Attributes:
    take: the take to change.
    share: share of the time that is sampled again, above 0, at most 1.
    from_level: first codec level that is sampled again; coarser ones stay.
  """

  take: Take
  share: float = 0.5
  from_level: int = 0


class Regenerate(NamedTuple):
  """Sample regions of a take again.

  Attributes:
    take: the take to change.
    regions: (from, to) in seconds, within the take.
  """

  take: Take
  regions: Sequence[Region]


class Extend(NamedTuple):
  """Continue a take to the end of a longer context."""

  take: Take


Edit = Vary | Regenerate | Extend


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GenerationRequest:
  """A request for new takes, or for edits of an existing take.

  Attributes:
    context: the music of the stem, 0.2 s to 10 minutes; None to start from
      nothing, and for edits that keep the context of the take.
    stem: instrument category, or a name that musicians use for it; "" is bass,
      or nothing for weights without instruments.
    genre: one of `categories.GENRES`, or "".
    role: one of `categories.ROLES`, or "".
    seeds: one for each take, 0 to 2**32 - 1; None is the seed after that of
      the edited take, or 0.
    seconds: length without a context.
    loop: the context is one period of a loop.
    exact: sample one take at a time on accelerators too.
    settings: how to sample; None is those of the edited take, or the default.
    progress: see `Progress`.
    edit: edit of a take, which then also states stem, genre, role and loop.
    sound: sound of the context, read by `validate`; None without one.
  """

  context: Context | None = None
  stem: str = ""
  genre: str = ""
  role: str = ""
  seeds: Sequence[int] | None = None
  seconds: float | None = None
  loop: bool = False
  exact: bool = False
  settings: Settings | None = None
  progress: Progress = None
  edit: Edit | None = None
  sound: Audio | None = None

  def validate(self) -> "GenerationRequest":
    """Check all that needs no model; read the context; fill in defaults.

    Raises:
      OSError: the context cannot be read.
      ValueError: an attribute is not as documented.
    """
    # Cheap checks first: reading the context may take seconds.
    request = self if self.edit is None else self._of_take(self.edit.take)
    seeds = request.seeds if request.seeds is not None else (0,)
    for seed in seeds:
      if not 0 <= seed < SEEDS:
        raise ValueError(f"`seed`={seed}: expected 0 to {SEEDS - 1}")
    # Categories and genres by the one name that the model has for them.
    stem = categories.parse_stem(request.stem) if request.stem else ""
    genre = categories.parse_genre(request.genre) if request.genre else ""
    role = categories.parse_role(request.role) if request.role else ""
    if isinstance(self.edit, Extend):
      sound = _longer(self.edit.take, self.context, self.seconds)
    elif self.edit is not None:
      _check_edit(self.edit)
      sound = None
    else:
      sound = _context_or_length(self.context, self.seconds)
    return dataclasses.replace(
      request,
      sound=sound,
      stem=stem,
      genre=genre,
      role=role,
      seeds=tuple(seeds),
      settings=request.settings or preset("default"),
    )

  @property
  def conditions(self) -> dict[str, str]:
    """Values of the conditions that have one, by name."""
    values = {"category": self.stem, "genre": self.genre, "role": self.role}
    return {name: value for name, value in values.items() if value}

  @property
  def kind(self) -> str:
    """Instrument of the takes, or else their role or genre."""
    return categories.kind(self.stem, self.role, self.genre)

  @property
  def origin(self) -> str:
    """Description of the edit and of its take, see `Take.origin`."""
    match self.edit:
      case Vary(take, share, level):
        return f"varied {share:g} from level {level} of {take.history}"
      case Regenerate(take, regions):
        spans = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in regions)
        return f"regenerated {spans} of {take.history}"
      case Extend(take):
        return f"extended from {take.context.seconds:.2f} s: {take.history}"
    return ""

  def for_weights(
    self, known: Collection[str], weights: str
  ) -> "GenerationRequest":
    """Return the request with the instrument that weights need, if any.

    Args:
      known: names of the conditions of the weights.
      weights: name of the weights, for the message.

    Raises:
      ValueError: a condition would have no effect.
    """
    for name, value in self.conditions.items():
      if name not in known and name != "category":
        raise ValueError(
          f"`{name}`={value}: the weights {weights} have no condition {name}; "
          f"expected {', '.join((*known, 'context'))} only; leave it out"
        )
    # Weights without conditions generate one kind of stem, whatever its name.
    named = categories.kind_field(known) == "stem"
    if self.stem and not named:
      subject = self.edit.take.subject if self.edit else "`stem`"
      shown = [f"--{x}={_EXAMPLES[x]}" for x in known if x in _EXAMPLES]
      raise ValueError(
        f"{subject}={self.stem}: the weights {weights} have no instruments, "
        f"only {', '.join((*known, 'context'))}; expected as in stemgen-jax "
        f"generate --weights={weights} {' '.join(shown)}"
      )
    if self.stem or self.edit or not named:
      return self
    return dataclasses.replace(self, stem=DEFAULT_STEM)

  def _of_take(self, take: Take) -> "GenerationRequest":
    seeds = [next_seed(take)] if self.seeds is None else self.seeds
    return dataclasses.replace(
      self,
      stem=take.stem,
      genre=take.genre,
      role=take.role,
      loop=take.context.loop,
      seeds=seeds,
      settings=self.settings or take.settings,
    )


def next_seed(take: Take) -> int:
  """Return the seed of an edit that states none: that of the take plus 1."""
  return (take.seed + 1) % SEEDS


def _context_or_length(
  context: Context | None, seconds: float | None
) -> Audio | None:
  if context is not None and seconds is None:
    return inputs.read_context(context)
  if context is None and seconds is not None:
    audio_lib.check_seconds(seconds, f"`seconds`={seconds:g}")
    return None  # Silence in the format of the codec, which is not known yet.
  both = ", as a stem is as long as its context" if context is not None else ""
  raise ValueError(
    "give either `context`=FILE, the music to generate a stem for, or "
    f"`seconds`=N, to start from nothing{both}"
  )


def _check_edit(edit: Vary | Regenerate) -> None:
  if isinstance(edit, Regenerate):
    edit.take.context.frames_of(edit.regions)  # for its errors
    return
  if not 0 < edit.share <= 1:
    raise ValueError(f"`share`={edit.share:g}: expected above 0, at most 1")
  levels = edit.take.codes.shape[1]
  if not 0 <= edit.from_level < levels:
    raise ValueError(
      f"`from_level`={edit.from_level}: expected 0 to {levels - 1}, as the "
      f"take has {levels} levels"
    )


def _longer(
  take: Take, context: Context | None, seconds: float | None
) -> Audio:
  """Return the longer context of a take, or silence of the new length."""
  old = take.context
  if old.loop:
    raise ValueError(f"{take.subject} is a loop, which has no end to extend")
  if context is not None and seconds is None:
    sound = inputs.read_context(context)
  elif context is None and not old.from_nothing:
    instead = "" if seconds is None else ", not `seconds`"
    raise ValueError(
      f"{take.subject} has a context: give the longer `context`{instead}"
    )
  elif context is None and seconds is not None:
    audio_lib.check_seconds(seconds, f"`seconds`={seconds:g}")
    sound = inputs.silence(seconds, old.sample_rate, old.channels)
  else:
    raise ValueError(
      "give either `context`=FILE, longer than the take, or `seconds`=N for a "
      "take from nothing"
    )
  if (sound.sample_rate, sound.channels) != (old.sample_rate, old.channels):
    raise ValueError(
      f"the context has {sound.sample_rate} Hz and {sound.channels} channels, "
      f"but the take {old.sample_rate} Hz and {old.channels}: convert it to "
      "the take's format"
    )
  # The last frame of the take may be incomplete, and is sampled again.
  least = old.edge(old.whole_frames) + old.samples_per_frame
  if len(sound.samples) < least:
    frame = old.samples_per_frame / old.sample_rate
    raise ValueError(
      f"the new length is {sound.seconds:.2f} s: expected more than the "
      f"take's {old.seconds:.2f} s, by {1000 * frame:.0f} ms at least"
    )
  return sound
