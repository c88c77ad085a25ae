"""Names of songs and files are text in every page, never elements."""

from html import parser

import numpy as np
import pytest

from stemgen_jax.audio import Audio
from stemgen_jax.pages import figures, html, tables


class Elements(parser.HTMLParser):
  """Collects the elements of a page with the names of their attributes."""

  def __init__(self):
    super().__init__()
    self.found: list[tuple] = []

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, *(name for name, _ in attrs)))


def elements(name: str) -> list[tuple]:
  """Return the elements of a page on which everything has one name."""
  sound = Audio(np.zeros((800, 1), np.float32), 8000)
  parts = [
    html.card(name, "", name),
    tables.table((name, "n"), [(name, 1)], [1.0]),
    figures.histogram(np.arange(9.0), name),
    figures.intervals({name: (1.0, 0.0, 2.0)}),
    figures.player(sound, name, 0.0),
    figures.linked_player(f"step/{name}", name),
  ]
  found = Elements()
  found.feed(html.page(name, name, {name: "".join(parts)}))
  return found.found


@pytest.mark.parametrize(
  "name",
  [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</title></style><script>",
    "a&lt;b&b.wav",
  ],
)
def test_names_are_text(name):
  assert elements(name) == elements("name")
