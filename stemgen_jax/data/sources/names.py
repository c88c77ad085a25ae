"""Find the instrument that the name of a file or folder states."""

import re

from stemgen_jax import categories

_VOCAL = re.compile(
  r"vocals?|vox|voices?|singers?|choirs?|rap|bgvs?|backing|acapella"
  r"|voix|chant|choeurs?|stimmen?|gesang|chor|voz|voces|vozes|voc[ei]|canto"
  r"|coros?"
)
_NO_STEM = re.compile(
  r"mix|mixture|mixdown|master|instrumental|click|metronome", re.IGNORECASE
)
# Names of categories that do not identify an instrument in a file's name.
_VAGUE = frozenset(("any", "unknown", "folk", "world", "sounds"))


def find_category(text: str) -> str | None:
  """Return the category that a file's name states, or None.

  It is that of the longest instrument name that `text` contains as whole
  words. Of several of the same length the last decides, as the others qualify
  it: "01 Bass DI" is bass, "Lead Guitar" guitar, "bass drum" drums.
  """
  words = _words(text)
  if is_vocal(text):
    return categories.parse_category("vocals")
  for count in range(min(3, len(words)), 0, -1):
    for first in reversed(range(len(words) - count + 1)):
      name = "".join(words[first : first + count])
      if category := categories.lookup(name, ignore=_VAGUE):
        return category
  return None


def is_instrument(text: str) -> bool:
  """Return True if a name is that of an instrument, with no other words."""
  words = _words(text)
  return bool(words) and (
    categories.lookup("".join(words), ignore=_VAGUE) is not None
    or all(
      is_vocal(word) or categories.lookup(word, ignore=_VAGUE) for word in words
    )
  )


def is_vocal(text: str) -> bool:
  """Return True if a file's name mentions singing, as "Lead Vox 2"."""
  return any(_VOCAL.fullmatch(word) for word in _words(text))


def is_mix(text: str) -> bool:
  """Return True if a file's name mentions a mix or a click track."""
  return bool(_NO_STEM.search(text))


def without_title(text: str, title: str) -> str:
  """Remove a song's title from a file's name, unless nothing else is in it.

  A song called "Piano Man" has more stems than a piano. Only whole words are
  removed: in a song called "A" a bass stays a bass.
  """
  words = rf"(?<![^\W_]){re.escape(title)}(?![^\W_])"
  rest = re.sub(words, " ", text, flags=re.IGNORECASE)
  return rest if re.search(r"[^\W\d_]", rest) else text


def _words(text: str) -> list[str]:
  """Return words in lower case; "BassDI" and "bass2" are two words each."""
  bare = categories.without_accents(text)
  spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", bare)
  return [word for word in re.split(r"[\W_\d]+", spaced.casefold()) if word]
