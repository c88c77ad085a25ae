import pytest

from stemgen_jax.data.sources import soundfont


def test_a_soundfont_of_another_machine_is_found_by_its_name(
  tmp_path, monkeypatch
):
  (tmp_path / "large.sf3").touch()
  monkeypatch.setattr(soundfont, "_FOLDERS", ("/none", str(tmp_path)))
  found = str(tmp_path / "large.sf3")
  assert soundfont.find("large.sf3") == found
  assert soundfont.find("/of/another/machine/large.sf3") == found
  assert soundfont.find(found) == found
  shipped = soundfont.default_soundfont()
  assert soundfont.find("TimGM6mb.sf2") == shipped
  with pytest.raises(FileNotFoundError, match=r"and no small.sf3 in .*/none"):
    soundfont.find("small.sf3")
