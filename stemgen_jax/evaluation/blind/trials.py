"""Trials of the blind listening test.

A trial is one context, mixed with each of several stems of one instrument. The
stems have the loudness of the real one; the mixes have one length, and their
files one size.
"""

import base64
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stemgen_jax import audio, disk, recipes
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import baselines, measurement, sharing
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.song_subject import SongSubject
from stemgen_jax.evaluation.studies import full
from stemgen_jax.pages import figures

KINDS = {
  "generated": "generated to the context",
  "real": "the real stem through the codec",
  "random": "a real stem of another song through the codec",
}
ANCHORS = {
  "original": "the real stem without the codec",
  "shuffled": "generated to another song's context",
  "silence": "no stem",
  "metronome": "clicks on the beats",
  "drone": "the tonic, held throughout",
}
FOLDER = "trials"
_MOST_SKIPPED = 200  # examples in a row without a stem of another song
_FADE_SECONDS = 0.02  # at both ends, where the page repeats a mix


def kinds(anchors: str | None) -> tuple[str, ...]:
  """Return the kinds of stems in a trial, given the value of --anchors."""
  named = list(filter(None, map(str.strip, (anchors or "").split(","))))
  for name in named:
    if name not in ANCHORS or named.count(name) > 1:
      problem = "given twice" if name in ANCHORS else "unknown"
      raise ValueError(
        f"--anchors={anchors}: {name} is {problem}; expected some of "
        f"{', '.join(ANCHORS)}, separated by commas"
      )
  return (*KINDS, *named)


def make(subject: SongSubject, kinds: Sequence[str]) -> list[dict[str, Any]]:
  """Make the trials of a subject; those in its folder are reused.

  Returns:
    A dict for each of --examples trials: `song`, `start` in seconds,
    `instrument`, whether `harmony` is rated, `seconds`, `context` as mp3, and
    `versions` in the order of the page: `name`, `kind`, `sound` as mp3.

  Raises:
    ValueError: too few examples have a stem of their instrument in another
      song, or a file is corrupt.
  """
  count = subject.options.examples or 0
  (subject.out / FOLDER).mkdir(parents=True, exist_ok=True)
  found = sharing.fill(
    _jobs(subject, count),
    functools.partial(_make_one, subject, kinds),
    functools.partial(
      disk.read_json, fix="delete it and evaluate again, which makes it again"
    ),
    count=count,
    desc="trials",
  )
  return _balanced(list(found.values()), subject.options.seed)


def _balanced(trials: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
  """Order the versions so that every kind is at each position equally often.

  The order also depends on samples before they were encoded: whoever has the
  page and the seed cannot derive it.
  """
  count = len(trials[0]["versions"])
  secrets = [trial["secret"] for trial in trials]
  rng = np.random.default_rng(int(recipes.digest([seed, secrets]), 16))
  ordered = []
  for first in range(0, len(trials), count):
    # The rotations of one order, in random order.
    order, shifts = rng.permutation(count), rng.permutation(count)
    for trial, shift in zip(trials[first : first + count], shifts):
      versions = [trial["versions"][x] for x in np.roll(order, shift)]
      ordered.append({**trial, "versions": versions})
  return ordered


def _jobs(subject: SongSubject, count: int) -> Iterator[sharing.Job]:
  """Yield the file and the place of examples with a random stem."""
  found = skipped = 0
  for place in subject.examples:
    path = subject.out / FOLDER / f"{place:05d}.json"
    if (
      path.is_file() or subject.examples.example(place).random_stem is not None
    ):
      yield path, place
      found, skipped = found + 1, 0
    else:
      skipped += 1
    if found == count:
      return
    if skipped > _MOST_SKIPPED:
      raise ValueError(
        f"--examples={count}: {found} examples have a stem of their instrument "
        "in another test song; give fewer, or --data with more test songs"
      )


def _make_one(
  subject: SongSubject, kinds: Sequence[str], path: pathlib.Path, place: int
) -> None:
  example = subject.examples.example(place)
  context, mixes = leveled(example, stems(subject, example, kinds))
  sounds = {kind: _encoded(mix) for kind, mix in mixes.items()}
  names: dict[str, str] = {}
  for kind, sound in sounds.items():
    name = _short_hash(sound.encode())
    while name in names.values():  # the same sound, as of a silent stem
      name = _short_hash(name.encode())
    names[kind] = name
  trial = {
    "song": example.song,
    "start": example.start,
    "instrument": example.category,
    "harmony": example.pitched,
    "seconds": context.seconds,
    "context": _encoded(context),
    "versions": [
      {"name": names[kind], "kind": kind, "sound": sounds[kind]}
      for kind in kinds
    ],
    "secret": _short_hash(mixes["generated"].samples.tobytes()),
  }
  disk.write_json(path, trial)


def stems(
  subject: SongSubject, example: Example, kinds: Sequence[str]
) -> dict[str, Audio]:
  """Return the stems of an example by kind."""
  known = measurement.anchors(subject.codec, example)
  found = {
    "real": known["round_trip"].sound,
    # Without the codec's sound, which a listener would recognize.
    "random": known["random_codes"].sound,
    "original": example.real,
    "silence": known["silence"].sound,
    "generated": full.generate_stem(subject, example, example.context),
  }
  if "shuffled" in kinds:
    other = subject.examples.other_context(example.number)
    found["shuffled"] = full.generate_stem(subject, example, other)
  if {"metronome", "drone"} & set(kinds):
    without_model = baselines.baselines(example, Features(example.context))
    found |= {name: stem.sound for name, stem in without_model.items()}
  return {kind: found[kind] for kind in kinds}


def leveled(
  example: Example, stems: Mapping[str, Audio]
) -> tuple[Audio, dict[str, Audio]]:
  """Mix stems with the context of an example.

  Stems get the loudness of the real stem, and all mixes of a trial one gain
  that brings the mix with the real stem to `audio.REFERENCE_DB`, or less if
  one of them would clip.

  Returns:
    The context, and the mixes by kind.
  """
  rate, context = example.context.sample_rate, example.context.samples
  target = audio.loudness_db(example.real.samples, rate)
  sums = {}
  for kind, stem in stems.items():
    gain = audio.gain_to(audio.loudness_db(stem.samples, rate), target)
    samples = audio.fit(stem.samples, len(context))
    sums[kind] = context + np.float32(gain) * samples
  gain = audio.gain_to(
    audio.loudness_db(
      context + audio.fit(example.real.samples, len(context)), rate
    )
  )
  peak = max(float(np.abs(x).max()) for x in (context, *sums.values()))
  gain = min(gain, audio.CEILING / max(peak, 1e-9))
  ramp = np.linspace(0, 1, round(_FADE_SECONDS * rate), dtype=np.float32)
  shape = np.ones((len(context), 1), np.float32)  # [n, 1]
  shape[: len(ramp), 0] = ramp
  shape[len(shape) - len(ramp) :, 0] = ramp[::-1]
  mixes = {
    kind: Audio(samples * np.float32(gain) * shape, rate)
    for kind, samples in {"": context, **sums}.items()
  }
  return mixes.pop(""), mixes


def _encoded(sound: Audio) -> str:
  return base64.b64encode(figures.mp3(sound, constant=True)).decode()


def _short_hash(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()[:8]
