"""The page of the blind listening test, in one file."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk

_STATIC = pathlib.Path(__file__).parent / "static"
_SCRIPTS = ("player.js", "answers.js", "page.js")  # of one scope


def write(
  path: pathlib.Path, test: str, trials: Sequence[Mapping[str, Any]]
) -> None:
  """Write the page, which reads no other file and sends nothing.

  Args:
    path: HTML file; replaced if it exists.
    test: id of the test, which answers state.
    trials: as `trials.make` returns them; the page has neither the kinds of
      stems nor the songs.
  """
  shown = [
    {
      "instrument": trial["instrument"].replace("_", " "),
      "harmony": trial["harmony"],
      "seconds": trial["seconds"],
      "context": trial["context"],
      "versions": [
        {"name": one["name"], "sound": one["sound"]}
        for one in trial["versions"]
      ],
    }
    for trial in trials
  ]
  data = json.dumps({"test": test, "trials": shown}).replace("<", "\\u003c")
  parts = {
    "/* style */": _read("style.css"),
    "/* script */": "\n".join(map(_read, _SCRIPTS)),
    "/* test */": data,
  }
  text = _read("page.html")
  for place, part in parts.items():
    text = text.replace(place, part)
  disk.write_text(path, text)


def _read(name: str) -> str:
  return (_STATIC / name).read_text("utf-8")
