"""What a live run plays: checked before the model is needed."""

from typing import NamedTuple

from stemgen_jax import categories
from stemgen_jax.audio import Audio
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.options import Options
from stemgen_jax.live.request import Controls
from stemgen_jax.sampling import settings as settings_lib
from stemgen_jax.sampling.settings import Settings
from stemgen_jax.studio.errors import RequestError
from stemgen_jax.studio.live_bodies import LiveLayer, LiveStart
from stemgen_jax.studio.open_song import OpenSong


class Plan(NamedTuple):
  """A live run.

  Attributes:
    song_id: id of the song that is played, or "".
    sound: what is played; None for samples of the client.
    loop: the sound repeats.
    sample_rate: sample rate of the stream in Hz.
    channels: channels of the stream.
    layers: controls of each layer, by name.
    grid: bar lines; None to detect them.
    beats_per_bar: beats of a bar.
    options: see `Options`.
    enter: first bars of layers.
    count_in: bars of clicks before.
    settings: settings with the most passes.
    future: see `LiveStart`.
  """

  song_id: str
  sound: Audio | None
  loop: bool
  sample_rate: int
  channels: int
  layers: dict[str, Controls]
  grid: Grid | None
  beats_per_bar: int
  options: Options
  enter: dict[str, int]
  count_in: int
  settings: Settings
  future: str

  def check_conditions(self, conditions: tuple[str, ...], weights: str) -> None:
    """Raise ValueError if the weights do not know an instrument or genre."""
    for layer in self.layers.values():
      request = GenerationRequest(stem=layer.stem, genre=layer.genre)
      request.for_weights(conditions, weights)


def plan(start: LiveStart, song: OpenSong | None) -> Plan:
  """Check the first message of a client.

  Args:
    start: the message.
    song: the open song.

  Raises:
    ValueError, RequestError: it cannot be played.
  """
  settings = settings_lib.preset(start.preset)
  layers = _layers(start.layers)
  sound, loop, rate, channels = None, False, start.sample_rate, start.channels
  if start.input == "song":
    sound, loop = _sound(song)
    rate, channels = sound.sample_rate, sound.channels
  grid = _grid(start, song, sound, loop, rate)
  bars = start.bars
  if loop:
    assert sound is not None
    assert grid is not None
    bars = grid.whole_bars(len(sound.samples))
  options = Options.at_tempo(
    bars,
    start.slack,
    grid,
    start.beats_per_bar,
    hold=loop,
    lag=start.lag if sound is None else 0,
  )
  enter = {}
  if loop:  # one after the other, each when the loop has sounded once more
    enter = {name: bars * (i + 1) for i, name in enumerate(layers)}
  return Plan(
    song_id=song.id if song and sound else "",
    sound=sound,
    loop=loop,
    sample_rate=rate,
    channels=channels,
    layers=layers,
    grid=grid,
    beats_per_bar=start.beats_per_bar,
    options=options,
    enter=enter,
    count_in=start.count_in,
    settings=settings,
    future=start.future,
  )


def _layers(given: list[LiveLayer]) -> dict[str, Controls]:
  layers: dict[str, Controls] = {}
  for one in given:
    stem = categories.parse_stem(one.stem)
    genre = categories.parse_genre(one.genre) if one.genre else ""
    count = sum(x.stem == stem for x in layers.values())
    layers[f"{stem}-{count + 1}" if count else stem] = Controls(
      stem=stem, genre=genre, seed=one.seed, guidance=one.guidance
    )
  return layers


def _sound(song: OpenSong | None) -> tuple[Audio, bool]:
  if song is None or not song.session.song.audible:
    raise RequestError(
      "the song has no audible layer: start one, or play the line input"
    )
  session = song.session
  return session.mix()[0], session.song.loop


def _grid(
  start: LiveStart,
  song: OpenSong | None,
  sound: Audio | None,
  loop: bool,
  rate: int,
) -> Grid | None:
  if sound is None or song is None:
    if start.bpm is None:
      return None
    return Grid(
      bpm=start.bpm, sample_rate=rate, beats_per_bar=start.beats_per_bar
    )
  tempo = song.tempo
  bpm = start.bpm or (tempo or {}).get("bpm")
  if bpm is None:
    raise RequestError("the tempo of the song is unclear: expected its bpm")
  if loop:
    samples = len(sound.samples)
    return Grid.of_loop(samples, rate, bpm, start.beats_per_bar)
  beats = (tempo or {}).get("beats") or [0.0]
  return Grid(
    bpm=bpm,
    sample_rate=rate,
    beats_per_bar=start.beats_per_bar,
    origin=round(beats[0] * rate),
  )
