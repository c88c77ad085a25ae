import base64
import dataclasses
import io
import re

import pytest
import soundfile
import tiny

from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import inspect_page, pairs, prepare

CONFIG = pairs.PairConfig(segment_seconds=4.0, pairs=5, empty_share=0.1)


class Hostile(tiny.Sines):
  def songs(self):
    for song in super().songs():
      yield dataclasses.replace(song, id=f"<script>{song.id}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  source = Hostile(name="<b>sines")
  prepare.prepare(source, tiny.FrameEnergies, out, CONFIG)
  return out


@pytest.fixture(scope="module")
def text(prepared):
  path = prepared / "inspect.html"
  inspect_page.write(prepared, tiny.FrameEnergies(), path, pairs=3)
  return path.read_text(encoding="utf-8")


def plain(text: str) -> str:
  """Return the visible text of a page."""
  text = re.sub(r"<(style|script)>.*?</\1>", " ", text, flags=re.DOTALL)
  return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_the_page_describes_the_data_set(prepared, text):
  manifest, seen = Manifest.load(prepared), plain(text)
  for split, count in manifest.counts.items():
    row = f"{split} {count['songs']} {count['pairs']} {count['empty']} "
    assert row in seen
  for category, count in manifest.categories.items():
    assert f"{category} {count} " in seen
  assert "energies (eeeeeeeeeeee), 0.8 kHz, 1 channel, 2 x 64 codes" in seen
  for heading in ("Length of songs", "Pairs per song", "Active share"):
    assert heading in seen


def test_the_page_is_one_file_that_needs_nothing_else(text):
  sources = re.findall(r'(?:src|href)="([^"]*)', text)
  assert len(sources) == 3 * 3 * 2  # pairs, sounds, picture and sound
  assert all(source.startswith("data:") for source in sources)
  assert "<b>sines" not in text
  assert text.count("<script>") == 1  # the page's own
  assert "&lt;script&gt;sines/" in text
  assert "&lt;b&gt;sines" in text


def test_the_pairs_sound_and_differ_in_instrument(text):
  tunes = re.findall(r"data:audio/mpeg;base64,([^\"]*)", text)
  for tune in tunes:
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(tune)))
    assert len(samples) / rate == pytest.approx(4.0, abs=0.3)
    assert abs(samples).max() > 0.01
  names = re.findall(r"target: (\w+)", text)
  assert len(set(names)) == len(names) == 3


def test_another_codec_is_refused_and_the_page_stays(prepared, text):
  path = prepared / "inspect.html"
  other = tiny.FrameEnergies("f" * 64)
  with pytest.raises(ValueError, match="give that one as --codec"):
    inspect_page.write(prepared, other, path)
  assert path.read_text(encoding="utf-8") == text
