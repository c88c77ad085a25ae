"""Rendered songs have the format of the codec, and are never converted."""

import pytest

from stemgen_jax import __main__ as command
from stemgen_jax.audio import sound
from stemgen_jax.codec import encodec, networks
from stemgen_jax.data.manifest import Manifest


def save_codec(folder, **fields):
  config = networks.NetworkConfig(
    ratios=(20, 32), filters=2, latent=4, levels=2, codes_per_level=16, **fields
  )
  path = folder / "codec.safetensors"
  encodec.save(path, "untrained", networks.Network(config), {})
  return path


@pytest.fixture(scope="module")
def stereo_codec(tmp_path_factory):
  folder = tmp_path_factory.mktemp("codec")
  return save_codec(folder, sample_rate=48_000, channels=2)


def prepare(out, codec, *flags) -> int:
  return command.main(
    [
      *("prepare", f"--out={out}", f"--codec={codec}", "--source=band"),
      *("--songs=1", "--valid_songs=0", "--test_songs=0", "--seconds=2"),
      *("--pairs=2", "--style=demo", "--workers=0", *flags),
    ]
  )


def test_a_stereo_codec_gets_stereo_at_its_rate(
  stereo_codec, tmp_path, monkeypatch, capsys
):
  def refuse(*args, **kwargs):
    raise AssertionError("resampled")

  monkeypatch.setattr(sound.soxr, "resample", refuse)
  out = tmp_path / "codes"
  assert prepare(out, stereo_codec) == 0, capsys.readouterr().err
  config = Manifest.load(out).config["source_config"]
  assert (config["sample_rate"], config["channels"]) == (48_000, 2)
  given = ("--sample_rate=48000", "--channels=2")
  assert prepare(out, stereo_codec, *given) == 0
  assert "nothing to add" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("codec", "flag", "message"),
  [
    (
      "encodec_48khz",
      "--channels=1",
      "--channels=1: codec encodec_48khz has 2 x 48000 Hz; expected 2",
    ),
    ("encodec_48khz", "--sample_rate=32000", "expected 48000; leave"),
    ("demo", "--channels=2", "--channels=2: codec demo has 1 x 32000 Hz"),
    ("encodec_24khz", "--sample_rate=48000", "expected 32000; leave"),
    ("demo", "--source=slakh --channels=1", "--channels is for --source=band"),
  ],
)
def test_flags_against_the_codec_are_refused(
  codec, flag, message, tmp_path, capsys
):
  assert prepare(tmp_path / "codes", codec, *flag.split()) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.strip().splitlines()) == 1


def test_a_mono_set_of_a_stereo_codec_continues_in_mono(
  stereo_codec, tmp_path, monkeypatch, capsys
):
  from stemgen_jax.cli.flags import sources

  out = tmp_path / "codes"
  with monkeypatch.context() as patched:  # as earlier versions rendered
    patched.setattr(sources, "_rendered", lambda *_: {"sample_rate": 32_000})
    assert prepare(out, stereo_codec) == 0
  assert "channels" not in Manifest.load(out).config["source_config"]
  assert prepare(out, stereo_codec) == 0
  assert "nothing to add" in capsys.readouterr().out
  assert prepare(out, stereo_codec, "--channels=2") == 1
  assert (
    "source_config.channels not set there, 2 now" in capsys.readouterr().err
  )
