"""Mp3 files without a tag of their length, and other odd ones."""

import io

import numpy as np
import pytest
import soundfile

from stemgen_jax import audio
from stemgen_jax.audio import mpeg

RATE, FRAME, SECONDS = 22050, 576, 12


def encoded(mode, rate=RATE, channels=1):
  """Return an mp3 that begins with silence, at a low bit rate if variable."""
  samples = np.random.default_rng(0).standard_normal((SECONDS * rate, channels))
  samples[: SECONDS * rate // 3] = 0
  file = io.BytesIO()
  soundfile.write(
    file, samples * 0.05, rate, format="MP3", bitrate_mode=mode,
    compression_level=0.5,
  )  # fmt: skip
  return file.getvalue()


def size_at(data, at):
  header = mpeg.header_at(bytes(data), at)
  assert header is not None
  return header.size


@pytest.fixture(scope="module", params=["CONSTANT", "VARIABLE"])
def tagged(request):
  return encoded(request.param)


@pytest.fixture
def untagged(tagged):
  return tagged[size_at(tagged, 0) :]  # the first frame is the tag


@pytest.fixture
def read(tmp_path):
  def read(data, name="music.mp3"):
    (tmp_path / name).write_bytes(data)
    return audio.read(tmp_path / name)

  return read


def test_a_file_without_a_tag_is_read_in_full(tagged, untagged, read, tmp_path):
  with_tag, sound = read(tagged), read(untagged)
  assert len(with_tag.samples) == SECONDS * RATE
  assert not with_tag.delayed
  assert sound.delayed
  assert audio.stated_seconds(tmp_path / "music.mp3") == sound.seconds
  # The delays of encoder and decoder, and whole frames.
  assert sound.samples.shape[0] % FRAME == 0
  late = sound.samples[576 + 529 :][: SECONDS * RATE - FRAME]
  wrong = np.abs(late - with_tag.samples[: len(late)]) > 1e-3
  # The first frame with sound may need bits of the frame of the tag.
  assert wrong.sum() < 3 * FRAME


def test_a_tag_of_too_few_frames_is_corrected(tagged, read):
  joined = read(tagged + tagged)
  assert joined.seconds == pytest.approx(2 * SECONDS, abs=0.2)
  once = read(tagged).samples
  np.testing.assert_array_equal(joined.samples[: len(once)], once)


def test_mp3_in_wav_is_read(untagged, read):
  form = (
    b"\x55\0\1\0" + RATE.to_bytes(4, "little") + b"\0\x10\0\0\1\0\0\0\x0c\0"
  )
  form += b"\1\0\2\0\0\0\x40\2\1\0\x71\5"
  body = b"WAVEfmt " + len(form).to_bytes(4, "little") + form
  body += b"data" + len(untagged).to_bytes(4, "little") + untagged
  riff = b"RIFF" + len(body).to_bytes(4, "little") + body
  sound = read(riff, "music.wav")
  np.testing.assert_array_equal(sound.samples, read(untagged).samples)


def test_data_around_the_frames_is_skipped(tagged, untagged, read):
  plain = read(untagged).samples
  after = b"TAG" + bytes(125)
  picture = b"ID3\3\0\0\0\0\2\0" + b"\xff\xfb" * 128
  for data in (bytes(300) + untagged + after, picture + untagged + after):
    sound = read(data)
    assert sound.notes == ()
    np.testing.assert_array_equal(sound.samples, plain)
  assert read(picture + tagged + after).seconds == SECONDS


def test_a_free_bit_rate_is_read(read):
  tagged = encoded("CONSTANT")
  untagged = tagged[size_at(tagged, 0) :]
  data, at = bytearray(untagged), 0
  while at < len(data):
    size = size_at(untagged, at)
    data[at + 2] &= 0x0F  # no bit rate
    at += size
  np.testing.assert_array_equal(
    read(bytes(data)).samples, read(untagged).samples
  )


def test_losses_are_reported_or_refused(tagged, untagged, read):
  middle = len(untagged) // 2
  with pytest.raises(ValueError, match=r"cut off.*of 12\.0 s|of 12\.0 s.*cut"):
    read(tagged[:middle])
  [note] = read(untagged[:-5]).notes
  assert "last frame is incomplete" in note
  at = size_at(untagged, 0)
  at += size_at(untagged, at)
  [note] = read(untagged[:at] + b"no sound" + untagged[at:]).notes
  assert note.startswith("8 bytes at 0.1 s are not mp3")
  with pytest.raises(ValueError, match="changes from 22050 Hz mono to 16000"):
    read(untagged + encoded("CONSTANT", 16000))
