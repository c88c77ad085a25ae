"""What an exported project contains: tracks with their audio files."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
  """One layer of the exported song.

  Attributes:
    name: name to show.
    file: name of the wav file.
    color: "#rrggbb".
    muted: the layer is not in the mix.
  """

  name: str
  file: str
  color: str
  muted: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Project:
  """A song as tracks of equal length that all begin together.

  Attributes:
    title: title of the song.
    tracks: tracks; gain and pan are in their audio.
    samples: length in samples.
    sample_rate: sample rate in Hz.
    channels: number of channels.
    bpm: tempo of the grid, beats per minute.
    mix_gain_db: gain of the sum that keeps it from clipping, at most 0.
    comment: seeds, weights and licences.
  """

  title: str
  tracks: tuple[Track, ...]
  samples: int
  sample_rate: int
  channels: int
  bpm: float
  mix_gain_db: float
  comment: str

  @property
  def seconds(self) -> float:
    """Duration in seconds."""
    return self.samples / self.sample_rate

  @property
  def mix_gain(self) -> float:
    """Gain of the sum as a factor."""
    return 10 ** (self.mix_gain_db / 20)
