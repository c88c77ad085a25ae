"""Names of instruments, as musicians type them."""

import pytest

from stemgen_jax import categories


@pytest.mark.parametrize(
  ("typed", "meant"),
  [
    ("Synth", "synth_lead"),
    ("Synths", "synth_lead"),
    ("Woodwind", "reed"),
    ("percussion", "percussive"),
    ("e-piano", "piano"),
    ("Electric Piano", "piano"),
    ("Drum Kit", "drums"),
    ("drums", "drums"),
    ("DRUM", "drums"),
    ("bass guitar", "bass"),
    ("Bass", "bass"),
    ("synth-pad", "synth_pad"),
    ("Synth Lead", "synth_lead"),
    ("strings", "strings"),
    ("Violin", "strings"),
    ("chromatic percussion", "chromatic_percussion"),
    ("flute", "pipe"),
  ],
)
def test_names_that_musicians_type_are_recognized(typed, meant):
  assert categories.parse_category(typed) == meant
  assert categories.CATEGORIES[categories.category_id(typed)] == meant


def test_every_category_and_its_spaced_form_is_recognized():
  for name in categories.CATEGORIES:
    assert categories.parse_category(name) == name
    assert categories.parse_category(name.replace("_", " ").title()) == name


@pytest.mark.parametrize(
  ("typed", "meant"),
  [
    ("Guitare", "guitar"),
    ("Batterie", "drums"),
    ("Basse", "bass"),
    ("Schlagzeug", "drums"),
    ("Klavier", "piano"),
    ("bajo", "bass"),
    ("BATERÍA", "drums"),
    ("bateria", "drums"),
    ("Chitarra", "guitar"),
    ("Violão", "guitar"),
    ("Kontrabass", "strings"),
    ("Orgue", "organ"),
    ("Chœur", "ensemble"),
    ("Flo\u0308te", "pipe"),
  ],
)
def test_names_in_other_languages_with_or_without_accents(typed, meant):
  assert categories.parse_category(typed) == meant


@pytest.mark.parametrize(
  ("typed", "nearest"),
  [
    ("baas", "bass"),
    ("pianno", "piano"),
    ("guitr", "guitar"),
    ("trumpett", r"trumpet \(brass\)"),
  ],
)
def test_unknown_category_suggests_the_nearest(typed, nearest):
  with pytest.raises(ValueError, match=f"{typed}.*did you mean.*{nearest}"):
    categories.parse_category(typed)


@pytest.mark.parametrize("typed", ["vocals", "Lead Vox", "rap", "Singers"])
def test_singing_is_known_and_not_generated(typed):
  assert categories.parse_category(typed) == "ensemble"
  with pytest.raises(ValueError, match=f"'{typed}': singing is not generated"):
    categories.parse_stem(typed)
  assert categories.parse_stem("Choir") == "ensemble"


def test_an_unrelated_category_lists_the_known_ones():
  for name in ("zzzz", "kazoo"):
    with pytest.raises(ValueError, match=rf"'{name}'\. Known: piano, .*other"):
      categories.parse_category(name)


def test_general_midi_families_keep_their_order():
  assert len(categories.CATEGORIES) == 18
  assert categories.category_of_program(0, is_drum=False) == "piano"
  assert categories.category_of_program(33, is_drum=False) == "bass"
  assert categories.category_of_program(127, is_drum=False) == "sound_effects"
  assert categories.category_of_program(33, is_drum=True) == "drums"
  with pytest.raises(ValueError, match="128"):
    categories.category_of_program(128, is_drum=False)


def test_a_role_is_stated_or_follows_from_the_category():
  percussive, bass, _, melodic = range(4)
  unknown = len(categories.ROLES)
  assert categories.role_id("", "drums") == percussive
  assert categories.role_id("", "bass") == bass
  assert categories.role_id("", "piano") == unknown
  assert categories.role_id("melodic", "piano") == melodic
  assert categories.role_id("melodic", "bass") == melodic
  assert categories.parse_role("Melodic") == "melodic"
  with pytest.raises(ValueError, match=r"'loud'. Known: percussive, .*melodic"):
    categories.parse_role("loud")
