"""Tests of takes as files."""

import dataclasses
import json

import numpy as np
import pytest
from pcm import RATE
from pcm_model import FAST, music, saved

from stemgen_jax import audio, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import stemgen as stemgen_lib


def test_saved_take_has_its_seed_and_settings(tiny, tmp_path):
  take = tiny.generate(music(), "Drum Kit", seed=3, settings=FAST)
  path = take.save(tmp_path / "new")
  assert path == tmp_path / "new" / "drums-seed3.wav"
  metadata = audio.read_metadata(path)
  assert metadata["seed"] == 3
  assert metadata["stem"] == "drums"
  assert metadata["settings"]["steps"] == [3, 2]
  np.testing.assert_allclose(
    audio.read(path).samples, take.audio.samples, atol=1e-6
  )
  with pytest.raises(FileExistsError):
    take.save(tmp_path / "new")
  assert take.save(tmp_path / "x.flac", bits=16) == tmp_path / "x.flac"
  take = dataclasses.replace(take, audio=Audio(4 * take.audio.samples, RATE))
  with pytest.warns(UserWarning, match="lowered by"):
    take.save(tmp_path / "x.flac", overwrite=True)


def test_saved_take_is_restored(sampler, tmp_path):
  settings = sampling.Settings(
    steps=(3, 2), guidance={"context": (2.0, 1.0), "category": 1.0}
  )
  take = sampler.generate(music(), "drums", seed=3, settings=settings)
  back = saved(take, tmp_path)
  np.testing.assert_array_equal(back.codes, take.codes)
  np.testing.assert_array_equal(back.context.codes, take.context.codes)
  assert back.settings == take.settings
  assert (back.stem, back.seed) == ("drums", 3)
  assert back.metadata["cost"]["passes"] == 2 * 3 + 2
  with pytest.raises(FileExistsError, match="overwrite=True"):
    take.save(tmp_path / f"{take.name}.wav")


@pytest.mark.parametrize("name", ["loud.wav", "loud.flac"])
def test_level_of_a_take_survives_its_file(sampler, tmp_path, name):
  context = music()
  take = sampler.generate(context, "drums")
  loud = dataclasses.replace(take, audio=Audio(20 * take.audio.samples, RATE))
  assert np.abs(loud.audio.samples).max() > 1
  with pytest.warns(UserWarning, match="lowered by"):
    back = stemgen_lib.Take.load(loud.save(tmp_path / name))
  assert back.context.inverse_gain == take.context.inverse_gain
  (expected, gain_db), (found, found_db) = loud.mix(context), back.mix(context)
  assert found_db == pytest.approx(gain_db, abs=1e-4)
  np.testing.assert_allclose(found.samples, expected.samples, atol=1e-6)


def test_position_of_the_context_is_that_of_its_stem(sampler, tmp_path):
  context = dataclasses.replace(music(), time_reference=48000 * 3600)
  audio.write(tmp_path / "mix.wav", context)
  take = sampler.generate(tmp_path / "mix.wav", seed=3)
  back = saved(take, tmp_path)
  assert back.context.time_reference == context.time_reference
  again = saved(sampler.vary(back), tmp_path)
  longer = saved(sampler.regenerate(again, [(0.1, 0.2)]), tmp_path)
  assert longer.audio.time_reference == context.time_reference
  assert longer.mix(context)[0].time_reference == context.time_reference
  take.save(tmp_path / "a.flac")
  stated = audio.read_metadata(tmp_path / "a.flac")
  assert stated["time_reference"] == context.time_reference


def test_takes_of_earlier_formats_load(sampler, tmp_path):
  path = sampler.generate(music(), seed=3).save(tmp_path / "a.wav")
  expected = stemgen_lib.Take.load(path)
  codes = tmp_path / "a.codes.npz"
  with np.load(codes) as file:
    arrays = dict(file)
  about = json.loads(str(arrays["about"]))
  assert about["format"] == 2

  def rewrite():
    np.savez(codes, **{**arrays, "about": np.array(json.dumps(about))})

  fields = about.pop("encoded_context")
  fields["back"] = fields.pop("inverse_gain")
  fields["seconds_to_hear"] = fields.pop("encoding_seconds")
  del about["format"]
  about["heard"] = fields
  rewrite()
  loaded = stemgen_lib.Take.load(path)
  assert loaded.metadata == expected.metadata
  assert loaded.context.inverse_gain == expected.context.inverse_gain
  assert loaded.context.encoding_seconds == expected.context.encoding_seconds
  about["format"] = 3
  rewrite()
  with pytest.raises(ValueError, match="format 3, expected 1 to 2"):
    stemgen_lib.Take.load(path)


def test_codes_of_another_take_are_an_error(sampler, tmp_path):
  take = sampler.generate(music())
  path = take.save(tmp_path / "a.wav")
  (tmp_path / "a.codes.npz").write_bytes(b"PK corrupt")
  with pytest.raises(ValueError, match=r"a\.codes\.npz is corrupt"):
    stemgen_lib.Take.load(path)
  (tmp_path / "a.codes.npz").unlink()
  with pytest.raises(FileNotFoundError, match="generate` writes next to"):
    stemgen_lib.Take.load(path)
  (tmp_path / "a.codes.npz").touch()
  with pytest.raises(ValueError, match=r"a\.codes\.npz is corrupt"):
    stemgen_lib.Take.load(path)
  # Another take replaces the audio, without or with its codes.
  other = sampler.generate(music(), seed=1)
  take.save(path, overwrite=True)
  other.save(path, codes=False, overwrite=True)
  with pytest.raises(ValueError, match=r"different takes \(seed, codes\)"):
    stemgen_lib.Take.load(path)
  # A take with the same settings and other music.
  alike = sampler.generate(music(seed=1))
  take.save(path, overwrite=True)
  alike.save(path, codes=False, overwrite=True)
  with pytest.raises(ValueError, match=r"different takes \(codes\)"):
    stemgen_lib.Take.load(path)
  other.save(path, codes=False, overwrite=True)
  take.save(tmp_path / "a.flac", overwrite=True)
  assert stemgen_lib.Take.load(tmp_path / "a.flac").seed == 0
  with pytest.raises(ValueError, match="different takes"):
    stemgen_lib.Take.load(path)
  (tmp_path / "b.codes.npz").touch()
  with pytest.raises(FileExistsError):
    take.save(tmp_path / "b.wav")
  assert not (tmp_path / "b.wav").exists()
  take.save(tmp_path / "b.wav", codes=False)
  take.save(tmp_path / "b.wav", overwrite=True)
  audio.write(tmp_path / "b.wav", music(1.0), overwrite=True)
  with pytest.raises(ValueError, match="audio was changed"):
    stemgen_lib.Take.load(tmp_path / "b.wav")


def test_mix_of_a_take_never_clips(tiny):
  square = np.where(np.arange(RATE) % 20 < 10, 0.9, -0.9)[:, None]
  context = Audio(square.astype(np.float32), RATE)
  take = tiny.generate(context, settings=FAST)
  mix, gain_db = take.mix(context)
  assert np.abs(mix.samples).max() < 1
  assert gain_db < 0


def test_music_in_place_of_its_take_is_answered_by_the_take(tmp_path):
  music_path = tmp_path / "song.wav"
  audio.write(music_path, music())
  for name in ("song-bass.codes.npz", "song-bass.wav"):
    (tmp_path / name).touch()
  with pytest.raises(FileNotFoundError, match=r"did you mean .*song-bass\.wav"):
    stemgen_lib.Take.load(music_path)
