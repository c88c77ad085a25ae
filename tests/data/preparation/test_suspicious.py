"""Stems that are not worth learning are reported, and no targets."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile
import test_bad_data

from stemgen_jax import categories
from stemgen_jax.audio import Audio
from stemgen_jax.data.preparation import beam, problems, repeats, suspicious
from stemgen_jax.data.songs import Stem
from stemgen_jax.data.sources import multitracks
from stemgen_jax.data.sources.folder import Folder

RATE = 8000
TIME = np.arange(4 * RATE) / RATE


def white():
  return 0.1 * np.random.default_rng(0).standard_normal(len(TIME))


def sine(hertz=220.0, level=0.5):
  return level * np.sin(2 * np.pi * hertz * TIME)


def cymbal():
  return white() * np.exp(-4 * (TIME % 1))


def surf():
  return np.convolve(white(), np.ones(20) / 4, "same")


def hats():
  # Few frames sound, at a tempo at which every one of them is as loud.
  return white() * (TIME % 0.1 < 0.01)


def triangle():
  return np.round(7.5 * sine(hertz=110, level=1)) / 8 + 1 / 16


def soft():
  return 0.99 * np.tanh(12 * sine(hertz=110.3, level=1))


@pytest.mark.parametrize(
  ("samples", "kind"),
  [
    (white(), "white noise"),
    (0.3 * white(), "white noise"),
    (sine() + 0.3, "constant offset"),
    (np.full(len(TIME), 0.3), "constant offset"),
    (sine(level=3).clip(-1, 1), "clipped audio"),
    (sine(hertz=220.3, level=30).clip(-1, 1), "clipped audio"),  # 98 % of it
    (sine(level=1.0), ""),
    (sine(hertz=40, level=1.0), ""),
    (np.sign(sine()) * 1.0, ""),  # a square wave
    (cymbal(), ""),
    (hats(), ""),
    (np.r_[white(), np.zeros(RATE)], "white noise"),
    (triangle(), ""),
    (soft(), ""),
    (soft().clip(-0.985, 0.985), "clipped audio"),
    (surf(), ""),
    (0 * TIME, ""),
  ],
)
def test_kinds_of_suspicious_stems(tmp_path, samples, kind):
  path = tmp_path / "a.wav"
  soundfile.write(path, samples, RATE)
  stem = multitracks.stem("a", "piano", [path])
  assert isinstance(stem, Stem)
  found = [problem.kind for problem in suspicious.of_stem(stem, stem.read())]
  assert found == [kind] * bool(kind)


def test_clipping_of_a_part_and_rendered_stems(tmp_path):
  for name, level in (("a", 3.0), ("b", 0.1)):
    soundfile.write(tmp_path / f"{name}.wav", sine(level=level), RATE)
  files = [tmp_path / "a.wav", tmp_path / "b.wav"]
  stem = multitracks.stem("Drums", "drums", files)
  assert isinstance(stem, Stem)
  (problem,) = suspicious.of_stem(stem, stem.read())
  assert problem.kind == "clipped audio"
  # What a synthesizer makes is intended.
  sound = Audio(white()[:, None].astype(np.float32), RATE)
  rendered = Stem("sea", "sound_effects", lambda: sound)
  assert not list(suspicious.of_stem(rendered, sound))


def test_copies_of_a_stem(tmp_path):
  def stem(name, target=True):
    return Stem(name, "bass", lambda: sound, target, (tmp_path / "a.wav",))

  sound = Audio(np.zeros((1, 1), np.float32), RATE)
  late = np.roll(cymbal(), round(0.025 * RATE))
  other = np.random.default_rng(1).permutation(cymbal())
  audio = np.stack([cymbal(), 0 * late, -0.5 * late, other, late])
  stems = [stem(name) for name in "abcd"] + [stem("e", target=False)]
  found = suspicious.copies(stems, audio[:, :, None], RATE)
  assert {stems[index].name: x.stem for index, x in found.items()} == {
    "c": "c",
    "e": "e",
  }
  stems[0] = stem("a", target=False)
  found = suspicious.copies(stems, audio[:, :, None], RATE)
  assert found.keys() == {0, 4}  # c may be a target: it is kept


def test_layers_of_a_stem_are_only_likely_duplicates(tmp_path):
  sound = Audio(np.zeros((1, 1), np.float32), RATE)
  stems = [
    Stem(name, "bass", lambda: sound, True, (tmp_path / "a.wav",))
    for name in "ab"
  ]
  hertz = np.repeat(np.random.default_rng(2).choice((55, 65, 73), 8), RATE // 2)
  phase = 2 * np.pi * np.cumsum(hertz) / RATE
  sub, hum = np.sin(phase), np.sin(2 * np.pi * 50 * TIME)
  noises = 0.06 * np.random.default_rng(3).standard_normal((2, len(TIME)))
  for pair, kind in (
    ((sub, sub + 0.25 * np.sin(2 * phase)), "likely duplicate"),
    (
      (hum + noises[0], hum + noises[1]),
      "likely duplicate",
    ),  # alike below 300 Hz alone
    ((sub, 0.5 * sub), "near duplicate"),
  ):
    found = suspicious.copies(stems, np.stack([*pair])[:, :, None], RATE)
    assert [(index, x.kind) for index, x in found.items()] == [(1, kind)]


def test_suspicious_stems_are_no_targets(tmp_path):
  root = test_bad_data.studio(tmp_path / "studio", songs=2)
  song, out = root / "train/Song 0", tmp_path / "codes"
  config = dataclasses.replace(test_bad_data.CONFIG, pairs=24)
  soundfile.write(song / "bass.wav", white(), RATE)
  shutil.copy(song / "piano.wav", song / "organ.wav")
  for keep in (False, True, False):
    manifest = test_bad_data.prepare(
      root, out, config=config, keep_suspicious=keep
    )
    found = test_bad_data.found(out)
    assert ("Song 0", "bass.wav", "white noise", not keep) in found
    assert ("Song 0", "piano.wav", "near duplicate", not keep) in found
    targets = test_bad_data.targets(out)
    for name in ("bass", "piano"):
      is_target = categories.category_id(name) in targets["train: Song 0"]
      assert is_target == keep
    assert manifest.counts["train"]["songs"] == 2
    table = problems.table(problems.read(out))
    text = "stem left out (--keep_suspicious overrides)"
    assert (text in table) != keep
  with pytest.raises(ValueError, match=r"--strict: song Song 0, bass\.wav"):
    test_bad_data.prepare(root, out, config=config, strict=True)


def test_audio_in_two_splits_is_not_trained_on(tmp_path, monkeypatch):
  root = test_bad_data.studio(tmp_path / "studio", songs=2)
  out = tmp_path / "codes"
  shutil.copytree(root / "train/Song 0", root / "test/Copy")
  (root / "test/Copy/piano.wav").unlink()
  # The same samples in another file.
  samples, rate = soundfile.read(root / "test/Copy/bass.wav")
  soundfile.write(root / "test/Copy/bass.flac", samples, rate)
  (root / "test/Copy/bass.wav").unlink()
  manifest = test_bad_data.prepare(root, out)
  found = test_bad_data.found(out)
  for name in ("bass.wav", "drums.wav"):
    assert ("Song 0", name, "same audio", True) in found
  (left,) = test_bad_data.targets(out)["train: Song 0"]
  assert left == categories.category_id("piano")
  assert manifest.counts["test"]["songs"] == 1
  listed = list(Folder(str(root)).songs())
  assert len(repeats.across_splits(listed)) == 2
  # Of stems that sound differently, none is decoded.
  piano, other = root / "train/Song 0/piano.wav", root / "test/Copy/piano.wav"
  samples, rate = soundfile.read(piano)
  soundfile.write(other, -samples, rate)
  decoded, digest = [], repeats._digest
  with monkeypatch.context() as patch:
    patch.setattr(
      repeats, "_digest", lambda x: decoded.append(x.name) or digest(x)
    )
    assert len(repeats.across_splits(list(Folder(str(root)).songs()))) == 2
  assert sorted(decoded) == ["bass.flac", "bass.wav", "drums.wav", "drums.wav"]
  other.unlink()
  # A cluster encodes the same; its workers list the songs themselves.
  cluster = beam.Cluster("DirectRunner")
  test_bad_data.prepare(root, tmp_path / "other", cluster=cluster)
  assert test_bad_data.targets(tmp_path / "other") == (
    test_bad_data.targets(out)
  )
  manifest = test_bad_data.prepare(root, out, keep_suspicious=True)
  assert ("Song 0", "bass.wav", "same audio", False) in test_bad_data.found(out)
  assert len(test_bad_data.targets(out)["train: Song 0"]) == 3
