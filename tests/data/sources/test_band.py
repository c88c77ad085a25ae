"""The band: same numbers, same song; varied songs; parts that fit together."""

import collections
import dataclasses
import pathlib
import sys

import numpy as np
import pytest

from stemgen_jax import categories
from stemgen_jax.data.sources import band
from stemgen_jax.data.sources.band import genres, harmony, players, rhythm

SECONDS = 30.0
BAND = band.Band(train=300, seconds=SECONDS)


@pytest.fixture(scope="module")
def scores():
  return [BAND.score(number) for number in range(300)]


def chord_at(score, time):
  return [chord for chord in score.chords if chord.start <= time + 0.03][-1]


def test_a_score_is_a_function_of_seed_and_number(scores):
  assert BAND.score(7) == scores[7]
  assert BAND.score(8) != scores[7]
  assert band.Band(seed=1).score(7) != scores[7]


def test_a_part_does_not_change_when_another_leaves(scores):
  style = band.Style(
    categories=tuple(c for c in categories.CATEGORIES if c != "drums")
  )
  compared = 0
  for number in range(40):
    full = {part.name: part.notes for part in scores[number].parts}
    for part in band.Band(style=style).score(number).parts:
      if part.name in ("pad", "lead") and part.name in full:
        assert part.notes == full[part.name]
        compared += 1
  assert compared > 10


def test_a_reharmonized_song_has_other_chords_and_the_same_form(scores):
  found = 0
  for number in range(60):
    score = scores[number]
    try:
      other = BAND.reharmonized(number)
    except LookupError:  # the only progression of its mode and length
      continue
    found += 1
    assert other.progression != score.progression
    for same in ("genre", "tempo", "meter", "key", "mode", "beats"):
      assert getattr(other, same) == getattr(score, same)
    names = [part.name for part in score.parts]
    assert [part.name for part in other.parts] == names
    for part, changed in zip(score.parts, other.parts):
      assert changed.program == part.program
      if part.is_drum:
        assert changed == part
    labels = [chord.label for chord in score.chords]
    assert [chord.label for chord in other.chords] != labels
  assert found >= 50


def test_songs_are_varied(scores):
  def kinds(name):
    return {getattr(score, name) for score in scores}

  parts = [part for score in scores for part in score.parts]
  programs = collections.defaultdict(set)
  for part in parts:
    programs[part.category].add(part.program)
  assert kinds("genre") == set(genres.BOOK)
  assert len(kinds("genre")) >= 8
  assert kinds("key") == set(harmony.KEYS)
  assert kinds("meter") == {"4/4", "3/4", "6/8"}
  assert kinds("mode") == set(harmony.MODES)
  assert len(kinds("progression")) >= 40
  assert len(programs) >= 10
  assert sum(len(used) >= 3 for used in programs.values()) >= 10
  assert len({round(score.tempo) for score in scores}) > 50
  assert min(score.tempo for score in scores) < 80
  assert max(score.tempo for score in scores) > 145
  swung = np.mean([score.swing > 0.5 for score in scores])
  assert 0.2 < swung < 0.8
  assert len({part.notes for part in parts}) == len(parts)


def test_harmonic_rhythm_differs():
  assert sum(map(len, harmony.PROGRESSIONS.values())) >= 40
  chords_per_bar = {
    (len(line.split("|")), max(len(bar.split()) for bar in line.split("|")))
    for lines in harmony.PROGRESSIONS.values()
    for line in (line.split(": ")[1] for line in lines)
  }
  assert len(chords_per_bar) >= 5


def test_notes_are_within_the_song_and_the_midi_range(scores):
  for score in scores:
    for part in score.parts:
      assert part.notes
      for note in part.notes:
        assert 0 <= note.start < note.end <= SECONDS
        assert 21 <= note.pitch <= 108
        assert 1 <= note.velocity <= 127
      starts = [note.start for note in part.notes]
      assert starts == sorted(starts)


def test_a_pitch_is_released_before_it_is_struck_again(scores):
  for score in scores[:60]:
    for part in score.parts:
      last = {}
      for note in part.notes:
        assert last.get(note.pitch, 0.0) <= note.start
        last[note.pitch] = note.end


def test_bass_plays_chord_tones_on_downbeats(scores):
  hits = []
  for score in scores:
    for part in score.parts:
      if part.name == "bass":
        for note in part.notes:
          if min(abs(note.start - beat) for beat in score.downbeats) < 0.02:
            chord = chord_at(score, note.start)
            hits.append(note.pitch % 12 in chord.pitch_classes)
  assert np.mean(hits) > 0.95


def test_comping_stays_on_the_chord_and_moves_little(scores):
  inside, moves = [], []
  for score in scores[:100]:
    for part in score.parts:
      if part.name == "pad":
        pitches = [note.pitch for note in part.notes]
        moves.append(np.ptp(pitches))
        inside += [
          note.pitch % 12 in chord_at(score, note.start).pitch_classes
          for note in part.notes
        ]
  assert np.mean(inside) > 0.97
  assert np.median(moves) <= 17


def test_lead_plays_chord_tones_on_strong_beats(scores):
  on, off = [], []
  for score in scores:
    for part in score.parts:
      if part.name == "lead":
        for note in part.notes:
          tone = note.pitch % 12 in chord_at(score, note.start).pitch_classes
          near = min(abs(note.start - beat) for beat in score.beats) < 0.02
          (on if near else off).append(tone)
  assert np.mean(on) > 0.95
  assert 0.5 < np.mean(off) < 0.95


def test_players_share_the_grid(scores):
  for score in scores[:60]:
    if score.swing > 0.5:
      continue
    sixteenth = 60 / score.tempo / rhythm.METERS[score.meter].beat
    for part in score.parts:
      starts = np.array([note.start for note in part.notes])
      off = np.abs(starts / sixteenth - np.round(starts / sixteenth))
      # A strum takes longer than a drum hit.
      assert np.quantile(off * sixteenth, 0.75) < 0.06


def test_chords_cover_the_song(scores):
  for score in scores:
    assert score.chords[0].start == 0
    assert score.chords[-1].end == SECONDS
    for chord, following in zip(score.chords, score.chords[1:]):
      assert chord.start < chord.end == following.start
    assert set(score.downbeats) <= set(score.beats)


def test_parts_enter_and_drop_out(scores):
  late = [part.notes[0].start > 4 for score in scores for part in score.parts]
  assert 0.05 < np.mean(late) < 0.5
  for score in scores:
    for part in score.parts:
      seconds = {int(note.start) for note in part.notes} | {
        int(note.end) for note in part.notes
      }
      assert len(seconds) >= 5


def test_style_limits_the_songs():
  style = band.Style(
    genres=("lofi", "techno"),
    keys=("C", "A"),
    modes=("minor",),
    meters=("4/4",),
    tempo=(80.0, 130.0),
    swing=False,
    categories=("drums", "bass", "piano", "synth_pad", "synth_lead"),
    programs=1,
  )
  narrow = [band.Band(style=style).score(number) for number in range(60)]
  parts = [part for score in narrow for part in score.parts]
  assert {score.genre for score in narrow} == {"lofi", "techno"}
  assert {score.key for score in narrow} == {"C", "A"}
  assert {score.mode for score in narrow} == {"minor"}
  assert {score.meter for score in narrow} == {"4/4"}
  assert all(80 <= score.tempo <= 130 for score in narrow)
  assert {score.swing for score in narrow} == {0.5}
  assert {part.category for part in parts} == set(style.categories)
  assert len({(part.category, part.program) for part in parts}) == 5


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"genres": ("polka",)}, "polka.*expected.*lofi"),
    ({"keys": ()}, "keys"),
    ({"tempo": (120.0, 90.0)}, "slowest"),
    ({"programs": 0}, "programs 0"),
    ({"genres": ("techno",), "tempo": (70.0, 80.0)}, "no genre"),
  ],
)
def test_impossible_style_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    band.Style(**change)


def test_impossible_band_is_refused():
  with pytest.raises(ValueError, match="train is -1"):
    band.Band(train=-1)
  for seconds in (0, float("nan"), float("inf")):
    with pytest.raises(ValueError, match="seconds"):
      band.Band(seconds=seconds)


def test_splits_are_disjoint_and_keep_their_songs_as_they_grow():
  def ids(**counts):
    found = collections.defaultdict(set)
    for song in band.Band(seconds=4, **counts).songs():
      found[song.split].add(song.id)
    return found

  small, large = ids(train=3, valid=2, test=2), ids(train=5, valid=2, test=3)
  assert {name: len(group) for name, group in small.items()} == {
    "train": 3, "valid": 2, "test": 2,
  }  # fmt: skip
  assert len(set.union(*large.values())) == 10
  assert "band-0-000000" in small["train"]
  for name in small:
    assert small[name] <= large[name]


def test_genre_tables_are_well_formed():
  assert set(genres.BOOK) == set(categories.GENRES) - {"other"}
  symbols = {
    "bass": "R3578gwa",
    "comp": "Xxsbu123456789",
    "pad": "Xxsbu123456789",
    "arp": "Xxsbu123456789",
    "lead": "xo",
    "percussion": "HMLhml",
  }
  for name, genre in genres.BOOK.items():
    assert set(genre.harmony) <= set(harmony.PROGRESSIONS), name
    for meter, groove in genre.grooves.items():
      bar = rhythm.METERS[meter].bar
      for beat in groove.drums:
        lines = players.parse_beat(beat)
        assert "kick" in lines or "kick" not in groove.bass, (name, beat)
        for drum, (hits, steps) in lines.items():
          assert drum in players.DRUMS, (name, drum)
          assert steps % bar == 0, (name, meter, drum)
          assert {hit.symbol for hit in hits} <= set("Xxog?"), (name, drum)
      for fill in groove.fills:
        for drum, (_, steps) in players.parse_beat(fill).items():
          assert drum in players.DRUMS, (name, drum)
          assert steps <= bar, (name, fill)
      for role, known in symbols.items():
        for grid in getattr(groove, role):
          hits, steps = rhythm.parse_grid(grid)
          if grid != "kick":
            assert steps % bar == 0, (name, meter, role, grid)
            assert {hit.symbol for hit in hits} <= set(known), (name, grid)
          assert hits


def test_stems_have_the_exact_length_and_sound():
  # Not a whole number of bars or codec frames.
  small = band.Band(seconds=7.013, sample_rate=32000)
  for number in range(4):
    song = small.song(number)
    assert {stem.read().sample_rate for stem in song.stems} == {32000}
    stems = [stem.read().samples for stem in song.stems]
    assert song.genre in categories.GENRES
    for stem, audio in zip(song.stems, stems):
      assert stem.category in categories.CATEGORIES
      assert stem.role in categories.ROLES
      assert audio.shape == (224416, 1)
      assert audio.dtype == np.float32
      assert np.sqrt(np.mean(audio**2)) > 1e-3
    loud = [20 * np.log10(np.sqrt(np.mean(audio**2))) for audio in stems]
    assert max(loud) - min(loud) < 20
    assert np.abs(np.sum(stems, axis=0)).max() < 1
    assert np.abs(stems[0][-1]) < 1e-3


def test_rendering_is_repeatable_to_the_bit():
  first, *others = band.Band(seconds=5).song(3).stems
  audio = first.read().samples
  for other in others:
    other.read()
  np.testing.assert_array_equal(first.read().samples, audio)


def test_a_note_sounds_at_its_time_in_the_score():
  score = BAND.score(0)
  part = dataclasses.replace(
    next(part for part in score.parts if part.name == "bass"),
    notes=(band.Note(1.0, 1.5, 40, 100), band.Note(3.0, 3.5, 45, 100)),
  )
  audio = np.abs(band.render(part, 5.0, 32000)[:, 0])
  loud = audio > 0.1 * audio.max()
  assert not loud[:31990].any()
  assert loud[32000:33600].any()
  assert not loud[64000:95990].any()
  assert loud[96000:97600].any()


def test_a_missing_renderer_is_reported_with_the_install_command(monkeypatch):
  # A rate of its own: a synthesiser that is loaded already would do.
  stem = band.Band(seconds=4, sample_rate=11025).song(0).stems[0]
  monkeypatch.setitem(sys.modules, "tinysoundfont", None)
  with pytest.raises(ImportError, match=r"--no-deps .*\[band\]"):
    stem.read()


def test_a_missing_soundfont_package_is_reported_likewise(monkeypatch):
  stem = band.Band(seconds=4).song(0).stems[0]
  monkeypatch.setitem(sys.modules, "pretty_midi", None)
  with pytest.raises(ImportError, match="--no-deps"):
    stem.read()


def test_soundfonts_are_chosen_by_path(tmp_path):
  copy = tmp_path / "other.sf2"
  copy.write_bytes(pathlib.Path(band.default_soundfont()).read_bytes())
  named = band.Band(seconds=4, soundfonts=(str(copy),)).song(0).stems[0]
  usual = band.Band(seconds=4).song(0).stems[0]
  np.testing.assert_array_equal(named.read().samples, usual.read().samples)

  missing = band.Band(seconds=4, soundfonts=(str(tmp_path / "no.sf2"),))
  with pytest.raises(FileNotFoundError, match=r"no\.sf2"):
    missing.song(0).stems[0].read()
  (tmp_path / "text.sf2").write_text("not a soundfont")
  wrong = band.Band(seconds=4, soundfonts=(str(tmp_path / "text.sf2"),))
  with pytest.raises(ValueError, match=r"text\.sf2 is not a soundfont"):
    wrong.song(0).stems[0].read()
