"""Tests of the demo weights on music."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from scipy import signal

import stemgen_jax
from stemgen_jax import __main__ as command
from stemgen_jax import audio, sampling
from stemgen_jax.generation.stemgen import StemGen

pytestmark = pytest.mark.usefixtures("optimized_compilation")

LOOPS = pathlib.Path(stemgen_jax.__file__).parent / "assets" / "loops"


@pytest.fixture(scope="module")
def demo() -> StemGen:
  return StemGen.load("demo")


@pytest.fixture
def echo(demo, monkeypatch) -> StemGen:
  """The whole chain except for the model: codes are those of the context."""
  monkeypatch.setattr(
    sampling, "decode_codes", lambda config, params, context, *_, **__: context
  )
  return demo


@pytest.fixture(scope="module")
def chords() -> audio.Audio:
  return audio.read(LOOPS / "chords.flac")


@pytest.fixture(scope="module")
def bass(demo, chords):
  return demo.generate(chords, "bass", seed=3)


def lag(wanted: np.ndarray, found: np.ndarray) -> int:
  """Samples by which `found` comes late."""
  correlation = signal.correlate(found, wanted, method="fft")
  return int(correlation.argmax()) - (len(wanted) - 1)


# Each rate and each number of channels; all pairs of them: test_stemgen.py.
@pytest.mark.parametrize(
  ("rate", "channels"),
  [
    (8000, 1),
    (16000, 2),
    (22050, 6),
    (32000, 1),
    (44100, 2),
    (48000, 6),
    (96000, 1),
  ],
)
def test_stem_has_the_format_of_the_context_without_lag(
  echo, chords, rate, channels
):
  # A whole mix: on a single sound the phase of the codec is off by some 30 us
  # either way, which is not the lag that this test measures.
  drums = audio.read(LOOPS / "drums.flac")
  mono = audio.fold_down(audio.mix(chords, drums)[0].samples)[:-17]
  sound = audio.resample(mono, chords.sample_rate, rate)
  context = audio.Audio(audio.spread(sound, channels), rate)
  take = echo.generate(context)
  assert take.audio.samples.shape == context.samples.shape
  assert take.audio.sample_rate == rate
  assert lag(context.samples[:, 0], take.audio.samples[:, 0]) == 0
  # As loud as the context in every format.
  level = audio.rms_db(take.audio.samples[:, 0])
  assert level == pytest.approx(audio.rms_db(context.samples[:, 0]), abs=1.5)


def test_stem_has_the_format_of_the_loop(chords, bass):
  assert bass.audio.samples.shape == chords.samples.shape
  assert bass.audio.sample_rate == chords.sample_rate
  assert bass.warnings == ()


def test_long_music_has_no_audible_joins(demo, chords):
  three = audio.Audio(np.tile(chords.samples, (3, 1)), chords.sample_rate)
  take = demo.generate(three, "bass", seed=1)
  assert take.audio.samples.shape == three.samples.shape
  # Windows begin every half window; the change of the spectrum there must not
  # be larger than between other frames.
  mono = audio.fold_down(take.audio.samples)[:, 0]
  hop = round(chords.sample_rate / demo.config.frame_rate)
  _, _, spectrum = signal.stft(mono, nperseg=2 * hop, noverlap=hop)
  change = np.abs(np.diff(np.log(np.abs(spectrum) + 1e-4), axis=1)).mean(0)
  window = demo.config.window
  joins = np.arange(window, len(take.codes), window // 2)
  assert len(joins) >= 3
  assert change[joins].mean() < np.quantile(change, 0.95)


@pytest.mark.parametrize("name", ["drums", "chords"])
def test_loop_continues_at_its_seam_as_at_its_bars(demo, echo, name):
  # Four equal bars, neither a bar nor the loop in whole frames, with a sound
  # held where bars begin: the seam must sound like the start of any bar.
  loop = audio.read(LOOPS / f"{name}.flac")
  rate = loop.sample_rate
  bar = audio.resample(loop.samples[: 2 * rate], 1000, 963)
  if name == "chords":
    bar = np.roll(bar, -round(0.8 * rate), axis=0)
  context = audio.Audio(np.tile(bar, (4, 1)), rate)
  frames = context.seconds * demo.config.frame_rate
  assert abs(frames - round(frames)) > 0.1

  take = echo.generate(context, loop=True)
  assert take.audio.samples.shape == context.samples.shape
  sound = audio.fold_down(take.audio.samples)[:, 0]
  begins = np.rint(np.arange(4) * len(bar)).astype(int)
  around = begins[:, None] + np.arange(-(rate // 20), rate // 20)  # 50 ms
  parts = sound[around % len(sound)]
  level = 10 * np.log10((parts**2).mean(axis=1))
  assert abs(level[0] - np.median(level[1:])) < 3.0
  if name == "drums":  # the same onsets as at other bars
    envelope = np.abs(parts).reshape(4, -1, 90).mean(axis=2)
    assert np.corrcoef(envelope)[0].min() > 0.9
  steps = np.abs(np.diff(sound, append=sound[0]))
  assert steps[-1] <= np.quantile(steps, 0.99)
  if name == "chords":  # without `loop` there is a jump
    alone = echo.generate(context).audio.samples[:, 0]
    assert abs(alone[0] - alone[-1]) > np.quantile(steps, 0.999)


def test_generated_loop_has_no_click(demo):
  chords = audio.read(LOOPS / "chords.flac")
  context = audio.Audio(chords.samples[:88_000], chords.sample_rate)
  settings = dataclasses.replace(sampling.preset("fast"), steps=(2, 1, 1, 1))
  take = demo.generate(context, "bass", seed=3, loop=True, settings=settings)
  sound = take.audio.samples[:, 0]
  steps = np.abs(np.diff(sound, append=sound[0]))
  assert np.abs(sound).max() > 0.01
  assert steps[-1] <= np.quantile(steps, 0.99)


def test_extension_follows_the_level_of_the_context(echo, chords):
  # The music gets 6 dB louder where the take ends: so must the stem.
  middle, rate = len(chords.samples) // 2 + 1234, chords.sample_rate
  louder = 0.5 * chords.samples
  louder[middle:] *= 2  # no louder than the file, whose mix is not limited
  longer = audio.Audio(louder, rate)
  take = echo.generate(audio.Audio(louder[:middle], rate), "piano")
  new = echo.extend(take, longer)

  def levels(sound: audio.Audio) -> np.ndarray:
    """Return the level of each 0.1 s, on a grid with the end of the take."""
    step = rate // 10
    first = middle % step
    mono = audio.fold_down(sound.samples)[first:, 0]
    mono = mono[: len(mono) // step * step].reshape(-1, step)
    return 10 * np.log10((mono**2).mean(axis=1))

  join = middle // (rate // 10)
  difference = levels(new.audio) - levels(longer)
  assert np.median(np.abs(difference[join:])) < 1.5
  jump = np.diff(difference)
  assert abs(jump[join - 1]) <= max(3.0, np.quantile(np.abs(jump), 0.95))


def test_stems_sound_like_their_instruments(tmp_path):
  assert command.main(["evaluate", "--what=sound", f"--out={tmp_path}"]) == 0
  result = json.loads((tmp_path / "sound.json").read_text())
  assert set(result["takes"]) == {
    "drums loop, bass",
    "chords loop, bass",
    "chords loop, drums",
  }
  for name, take in result["takes"].items():
    low, middle, high = zip(*result["real"][name.split(", ")[1]].values())
    real = dict(zip(take, zip(low, middle, high)))
    # Neither silent nor far louder than real stems.
    low, _, high = real["level_db"]
    assert low - 12 < take["level_db"] < high + 12, name
    # Noise has a flatness of 0.56; where real stems are tonal, so are these.
    assert take["flatness"] < max(0.1, 2 * real["flatness"][2]), name
    low, _, high = real["centroid_hz"]
    assert low / 2 < take["centroid_hz"] < high * 2, name
    low, _, high = real["onsets_per_second"]
    assert low / 2 - 0.5 < take["onsets_per_second"] < high * 2 + 1, name


def test_model_uses_its_context(tmp_path, capsys):
  arguments = ["--what=listening", "--examples=64", f"--out={tmp_path}"]
  assert command.main(["evaluate", *arguments]) == 0
  assert "The model uses its context." in capsys.readouterr().out
  result = json.loads((tmp_path / "listening.json").read_text())
  assert result["examples"] == 64
  for percent in ("70", "100"):
    figures = result["masked"][percent]
    names = {"true", "shuffled", "silent", "null"}
    assert set(figures) >= names | {"gain", "gain_low", "gain_high"}
    assert figures["gain_low"] > 0
    assert figures["gain"] == pytest.approx(
      figures["shuffled"] - figures["true"], abs=1e-3
    )
    assert figures["true"] == min(figures[name] for name in names)
  # With every frame masked, only the context informs the model.
  assert result["masked"]["100"]["gain_low"] > 0.25
