"""Chunks of a model: what it is given, and how they join."""

import dataclasses

import jax
import numpy as np
import pytest
from pcm import RATE, PcmCodec
from pcm_model import FAST, pcm_config

from stemgen_jax import StemGen, sampling
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation import compilation
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.live import stream
from stemgen_jax.live.clock import SimulatedClock, SimulatedWorker
from stemgen_jax.live.continuation import Continuation
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.options import Change, Options
from stemgen_jax.live.request import Controls, Request, variants
from stemgen_jax.model import init_params

FRAME = 80
CHUNK = 4096.0 / RATE  # no whole number of frames


class BlurredCodec(PcmCodec):
  """Its samples depend on 4 frames on either side."""

  def decode(self, codes):
    steps = super().decode(codes)
    size = 8 * self.hop + 1
    kernel = np.full(size, 1 / size, np.float32)
    blurred = [np.convolve(x[:, 0], kernel, "same") for x in steps]
    return np.stack(blurred)[..., None].astype(np.float32)


class SegmentedCodec(PcmCodec):
  framing = Framing(hop=80, segment=800, stride=720)

  def scales(self, audio):
    raise NotImplementedError


def chunks(engine):
  """The chunks that sounded, without silence."""
  voices = engine.layers["bass"].line.voices
  return [chunk for _, chunk in voices if chunk is not None]


@pytest.fixture
def calls(monkeypatch):
  """Record calls of the sampler, which returns random codes of little noise."""
  calls = []

  def decode(config, params, context, conditions, seeds, settings, **given):
    calls.append(given | {"context": context, "settings": settings})
    draw = np.random.default_rng((seeds[0], given["frame_offset"]))
    new = draw.integers(126, 130, context.shape[:2])
    codes = np.stack([new, new], axis=-1)
    return np.where(given["known_mask"], given["known"], codes)

  monkeypatch.setattr(sampling, "decode_codes", decode)
  return calls


def model(codec=None, *, future=False, context="codes"):
  config = dataclasses.replace(pcm_config(), future=future, context=context)
  config = dataclasses.replace(config, dtype="float32")
  return StemGen(config, {}, codec or PcmCodec(), {})


def continuation(stemgen, rate=RATE, channels=1, **options):
  return Continuation(
    stemgen,
    FAST,
    sample_rate=rate,
    channels=channels,
    seconds=CHUNK,
    **options,
  )


def play(generator, sound, rate=RATE, script=()):
  """Chunks of a bar, with a slack of a quarter; return engine and output."""
  clock = SimulatedClock()
  engine = Engine(
    generator,
    {"bass": Controls(stem="bass")},
    clock=clock,
    worker=SimulatedWorker(clock, measured=False),
    sample_rate=rate,
    channels=sound.shape[1],
    grid=Grid(bpm=120 / CHUNK, sample_rate=rate, beats_per_bar=2),
    options=Options(chunk_bars=1, slack_beats=0.5),
    script=script,
  )
  out = []
  stream.run(engine, stream.blocks_of(sound, 64), out.append, clock, rate)
  return engine, np.concatenate(out)


def tone(seconds, rate=RATE, channels=1):
  time = np.arange(round(seconds * rate)) / rate
  sine = 0.2 * np.sin(2 * np.pi * 200 * time).astype(np.float32)
  return np.repeat(sine[:, None], channels, axis=1)


def test_joins_are_those_of_one_decoding(calls):
  codec = BlurredCodec()
  engine, out = play(continuation(model(codec)), tone(10 * CHUNK))
  played = chunks(engine)
  assert len(played) >= 6
  codes = np.zeros((2000, 2), np.int32)
  for chunk in played:
    assert chunk.codes is not None
    frames = slice(chunk.first_frame, chunk.first_frame + len(chunk.codes))
    if chunk is not played[0]:
      assert chunk.follows is not None
      # What the one before made for after its end is kept.
      assert (chunk.codes[:10] == codes[frames][:10]).all()
    codes[frames] = chunk.codes
  first, last = played[0], played[-1]
  begin = first.first_frame
  decoded = codec.decode(codes[None, begin:])[0]
  start = first.start - begin * FRAME
  # The first samples are after a past that was sampled, and not used.
  skip = 4 * FRAME + 64
  expected = decoded[start + skip : start + last.start - first.start, 0]
  # The stem has the loudness of the context, to which the tone was brought.
  got = out[first.start + skip : last.start, 0]
  gain = got @ expected / (expected @ expected)
  np.testing.assert_allclose(got, gain * expected, atol=2e-4 * gain)
  assert engine.figures.late == 0


@pytest.mark.parametrize(
  ("rate", "channels"), [(12_000, 2), (11_025, 1), (RATE, 2)]
)
def test_other_rates_and_channels_join_without_a_jump(calls, rate, channels):
  generator = continuation(model(BlurredCodec()), rate, channels)
  sound = tone(8 * CHUNK, rate, channels)
  engine, out = play(generator, sound, rate)
  assert out.shape == sound.shape
  assert engine.figures.late == 0
  starts = [chunk.start for chunk in chunks(engine)[1:]]
  steps = np.abs(np.diff(out[:, 0]))
  usual = np.quantile(steps[starts[0] : starts[-1]], 0.99)
  for start in starts:
    assert steps[start - 2 : start + 2].max() < 2 * usual


def request(read, *, known, start=8000, voices=((0, None),), **controls):
  return Request(
    layer="bass",
    bar=4,
    start=start,
    stop=start + 4096,
    known=known,
    controls=Controls(stem="bass", **controls),
    read=read,
    voices=voices,
  )


def constant(after):
  """A context of 0.25 that is another number from sample 6800 on."""

  def read(start, stop):
    place = np.arange(start, stop)[:, None]
    values = np.where(place < 6800, 0.25, after).astype(np.float32)
    # The sign changes: a constant offset is removed.
    return np.where((place // 400) % 2, values, -values)

  return read


@pytest.mark.parametrize(
  "options",
  [{"future": "unknown"}, {"future": "repeat"}, {}, {"unknown": True}],
  ids=str,
)
def test_the_future_of_the_context_does_not_matter(calls, options):
  options = dict(options)
  future = options.pop("unknown", False)
  generator = continuation(model(future=future), **options)
  generator(request(constant(0.4), known=6800), 0)
  one = list(calls)
  calls.clear()
  generator(request(constant(0.1), known=6800), 0)
  for call, other in zip(one, calls, strict=True):
    np.testing.assert_array_equal(call["context"], other["context"])
  contexts = {
    call["frame_offset"] + frame: call["context"][0, frame]
    for call in one
    for frame in range(50)
  }
  silence = PcmCodec().encode(np.zeros((1, 80, 1), np.float32))[0, 0]
  before, after = contexts[84], contexts[86]
  assert (before != silence).any()
  if future:  # the learned row begins where the context ends
    ends = [x["context_frames"][0] + x["frame_offset"] for x in one]
    assert ends[0] == 85
    assert [x["context_frames"][0] for x in one][-1] == 0
  elif options != {"future": "unknown"}:  # by default as well
    # 51.2 frames before: the same half wave, or the next one.
    assert (after != silence).any()
  else:
    assert (after == silence).all()
  notes = "\n".join(generator.notes(slack=0.05))
  if options == {"future": "unknown"}:
    assert "mask.live_share: they get silence" in notes
  elif not options and not future:
    assert "mask.live_share: the latest bars stand for" in notes
  else:
    assert "mask.live_share" not in notes
  unknown = future or options == {"future": "unknown"}
  assert ("sees 0.2 s of known context" in notes) == unknown


def test_as_many_bars_repeat_as_are_known():
  def ramp(start, stop):
    assert start >= 0
    return np.arange(start, stop, dtype=np.float32)[:, None]

  generator = continuation(model(), future="repeat")
  chunk = dataclasses.replace(request(ramp, known=3000), bars=2)
  samples = generator._samples(chunk, 0, 100)[:, 0]
  np.testing.assert_array_equal(samples[:3000], np.arange(3000))
  again = np.tile(np.arange(3000 - 2048, 3000), 3)[:5000]
  np.testing.assert_array_equal(samples[3000:], again)


def test_silence_is_encoded_as_far_as_it_differs(calls):
  codec, lengths = BlurredCodec(), []
  encode = codec.encode

  def counted(audio):
    lengths.append(audio.shape[1] // codec.hop)
    return encode(audio)

  codec.encode = counted
  generator = continuation(model(codec), future="unknown")
  generator(request(constant(0.4), known=6800), 0)
  # From half a second before the window to 20 frames after the known ones.
  assert lengths == [85 + 1 + 20 - 25]
  found = {
    call["frame_offset"] + frame: call["context"][0, frame].tolist()
    for call in calls
    for frame in range(50)
  }
  silence = encode(np.zeros((1, 80, 1), np.float32))[0, 0].tolist()
  assert all(found[frame] == silence for frame in range(85, 162))
  assert found[84] != silence


def test_a_new_stem_samples_its_past_and_a_known_one_continues(calls):
  sound = tone(9 * CHUNK)
  script = [(6, Change("bass", {"stem": "drums", "guidance": 4.0}))]
  generator = continuation(model())
  engine, _ = play(generator, sound, script=script)
  assert engine.figures.late == 0
  played = [chunk.kind[0] for chunk in chunks(engine)]
  assert played == ["bass"] * 4 + ["drums"] * (len(played) - 4)
  changed = [x["settings"].guidance["context"] == 4.0 for x in calls]
  first = changed.index(True)
  # Two windows for a chunk. No code is known to the first of a new stem.
  assert not calls[0]["known_mask"].any()
  assert not calls[first]["known_mask"].any()
  assert calls[first - 2]["known_mask"].any()
  assert calls[first + 2]["known_mask"].any()


def test_passes_fall_with_the_rungs(calls):
  generator = continuation(model())
  assert len(generator.passes) > 1
  assert list(generator.passes) == sorted(set(generator.passes))
  for rung in range(len(generator.passes)):
    generator(request(constant(0.2), known=6800), rung)
    assert calls[-1]["settings"].steps == generator._settings[rung].steps
  timed = generator.rehearse(Controls(stem="bass"))
  assert timed.sampling > 0
  assert timed.other > 0


def test_what_cannot_be_live(calls):
  with pytest.raises(ValueError, match="'x': expected auto, unknown, repeat"):
    continuation(model(), future="x")
  with pytest.raises(ValueError, match="encodes segments of its own"):
    continuation(model(SegmentedCodec()))


def test_a_model_of_spectra_has_all_programs_after_the_rehearsal():
  stemgen = model(future=True, context="spectrum")
  params = init_params(stemgen.config, jax.random.key(0))
  # Not nearly uniform, as at first: what the model sees decides.
  params["head"] = 30 * params["head"]
  stemgen = dataclasses.replace(stemgen, params=params)
  generator = continuation(stemgen)
  generator.rehearse(Controls(stem="bass"))

  def codes(known, rung=0, **controls):
    wanted = request(constant(0.2), known=known, **controls)
    return generator(wanted, rung).chunk.codes

  with compilation.timed() as compiling:
    once = codes(6800)
    codes(6800, 1, seed=3)
    codes(5000, guidance=1.0)
    codes(6800, guidance=0.0)
    np.testing.assert_array_equal(once, codes(6800))
    assert (once != codes(6400)).any()
  assert compiling.spans == []


def test_a_rehearsal_has_every_number_of_conditions():
  plain = Controls(stem="bass")
  for given, numbers in (
    (("category",), {1}),
    (("category", "genre"), {1, 2}),
    (("category", "genre", "role"), {1, 2, 3}),
  ):
    found = [
      GenerationRequest(stem=x.stem, genre=x.genre, role=x.role).conditions
      for x in variants(plain, given)
    ]
    assert {len(x) for x in found} == numbers
