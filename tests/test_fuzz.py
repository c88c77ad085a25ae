"""Mutated files of every kind: readers raise ValueError or OSError alone.

A kind is read in a process of its own, with a limit of memory and of time. The
mutations are those of fixed seeds; with --soak there are more. Inputs that were
found are in `FOUND` and in fuzz_cases/.
"""

import io
import json
import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import time
import traceback
import warnings

import numpy as np
import pretty_midi
import pytest
import safetensors.numpy
import soundfile
import tiny
import trees

from stemgen_jax import audio, disk
from stemgen_jax.data import records
from stemgen_jax.data.beats import Beats
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import pairs, prepare, problems, song_codes
from stemgen_jax.data.sources import moisesdb, slakh, stems_table
from stemgen_jax.data.sources.midi import score

pytestmark = pytest.mark.processes

ROUNDS, SOAK = 150, 20_000  # mutated files of a kind
MEMORY = 1 << 30  # bytes, in addition to those of the imports
SECONDS = 60  # of a kind; the suite needs a few
EXTREMES = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x80\0\0\0")
WORDS = (b"NaN", b"1e999", b"-1", b"9" * 40, b"null", b"[[", b'"', b"{}", b"\n")


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
  """Return content with one to four changes."""
  data = bytearray(content)
  for _ in range(rng.integers(1, 5)):
    at = int(rng.integers(len(data) + 1))
    if rng.random() < 0.5:  # headers are at the beginning
      at = int(rng.integers(min(len(data), 128) + 1))
    size = int(rng.integers(1, 9))
    change = rng.integers(6)
    if change == 0 and at < len(data):
      data[at] ^= 1 << int(rng.integers(8))
    elif change == 1:
      extreme = EXTREMES[rng.integers(len(EXTREMES))]
      data[at : at + len(extreme)] = extreme
    elif change == 2:
      data[at : at + size] = WORDS[rng.integers(len(WORDS))]
    elif change == 3:
      data[at:at] = data[at : at + 8 * size] * int(rng.integers(1, 4))
    elif change == 4:
      del data[at : at + size]
    elif rng.random() < 0.3:
      del data[at:]
  return bytes(data)


def sound(suffix: str, subtype: str | None = None) -> bytes:
  noise = np.random.default_rng(0).standard_normal((4000, 2)) * 0.1
  file = io.BytesIO()
  soundfile.write(file, noise, 8000, subtype, format=suffix)
  return file.getvalue()


def midi() -> bytes:
  song = pretty_midi.PrettyMIDI()
  song.instruments.append(pretty_midi.Instrument(33))
  song.instruments[0].notes.append(pretty_midi.Note(90, 40, 0.0, 1.0))
  file = io.BytesIO()
  song.write(file)
  return file.getvalue()


def arrays() -> bytes:
  file = io.BytesIO()
  np.savez(file, a=np.arange(99), b=np.array('{"x": [1, 2.5]}'))
  return file.getvalue()


def array() -> bytes:
  file = io.BytesIO()
  np.save(file, np.arange(24).reshape(2, 3, 4))
  return file.getvalue()


def tensors() -> bytes:
  values = {"a/b": np.ones((3, 4), np.float32), "c": np.zeros(2, np.float16)}
  return safetensors.numpy.save(values, {"progress": '{"step": 1}'})


def data_json() -> bytes:
  track = {"trackType": "bass", "id": "1", "extension": "wav"}
  stem = {"stemName": "bass", "tracks": [track]}
  return json.dumps({"genre": "pop", "stems": [stem]}).encode()


def metadata_yaml(folder: pathlib.Path) -> bytes:
  trees.slakh_track(folder / "Track00001")
  return (folder / "Track00001/metadata.yaml").read_bytes()


def read_audio(path: pathlib.Path) -> None:
  audio.read(path)
  audio.read_metadata(path)


def read_slakh(path: pathlib.Path) -> None:
  track = path.parent / "slakh/Track00001"
  track.mkdir(parents=True, exist_ok=True)
  shutil.copy(path, track / "metadata.yaml")
  list(slakh.Slakh(str(track.parent)).songs())


def read_moisesdb(path: pathlib.Path) -> None:
  song = path.parent / "moisesdb/song"
  song.mkdir(parents=True, exist_ok=True)
  shutil.copy(path, song / "data.json")
  list(moisesdb.Moisesdb(str(song.parent)).songs())


def read_problems(path: pathlib.Path) -> None:
  shutil.copy(path, path.with_name(problems.FILE))
  problems.read(path.parent)


STEMS = b'song,file,category,split\nSong 0,"bass.wav",bass,train\nx,,,test\n'
PROBLEMS = b'song,stem,problem,left_out,message\n\'=a,b,odd name,no,"x\ny"\n'
# Name of a file, its content, and its reader.
KINDS = {
  "wav": (lambda _: sound("wav"), read_audio),
  "float wav": (lambda _: sound("wav", "FLOAT"), read_audio),
  "flac": (lambda _: sound("flac"), read_audio),
  "ogg": (lambda _: sound("ogg"), read_audio),
  "mp3": (lambda _: sound("mp3"), read_audio),
  "aiff": (lambda _: sound("aiff"), read_audio),
  "mid": (lambda _: midi(), score.read),
  "npz": (
    lambda _: arrays(),
    lambda path: disk.read_npz(path, "fix", described=("b",)),
  ),
  "npy": (lambda _: array(), lambda path: disk.read_npy(path, "fix").tobytes()),
  "safetensors": (
    lambda _: tensors(),
    lambda path: disk.read_tensors(path, "fix"),
  ),
  "json": (lambda _: data_json(), read_moisesdb),
  "jsonl": (lambda _: b'{"a": 1}\n{"a": [2]}\n', disk.read_log),
  "yaml": (metadata_yaml, read_slakh),
  "stems csv": (lambda _: STEMS, stems_table.read),
  "problems csv": (lambda _: PROBLEMS, read_problems),
}
# Inputs that once raised other exceptions, exhausted memory or did not end.
FOUND = [
  ("stems csv", b'song,file,category\na,"' + b"b,c\n" * 40_000),
  ("problems csv", b"song;stem;problem;left_out;message\nsong0;;x;no;y\n"),
  ("problems csv", b"a,b\n1,2\n"),
  ("jsonl", b"[" * 100_000),
  ("json", b"[" * 100_000),
  ("yaml", b"stems: [a, b]"),
  ("yaml", b"- " * 5000),
  ("mp3", (b"\xff\xfb\x90\0" + bytes(413)) * 3 + b"\xff\xfb\0\0"),
  *(
    (path.suffix[1:], path.read_bytes())
    for path in sorted((pathlib.Path(__file__).parent / "fuzz_cases").iterdir())
  ),
]


def limit_memory(more: int = MEMORY) -> None:
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
  most = pages * resource.getpagesize() + more
  resource.setrlimit(resource.RLIMIT_AS, (most, most))


def forked(work) -> str:
  """Run a function in a process with limits; return how it failed, or ""."""
  read_end, write_end = os.pipe()
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # jax warns of forks
    child = os.fork()
  if not child:
    os.close(read_end)
    message = "left with an exception of its own"
    try:
      limit_memory()
      warnings.simplefilter("ignore")
      work()
      message = ""
    except BaseException:
      message = traceback.format_exc()
    finally:
      os.write(write_end, message.encode(errors="replace")[-4000:])
      os._exit(0)
  os.close(write_end)
  with open(read_end, "rb") as pipe:
    message = pipe.read().decode()
  _, status = os.waitpid(child, 0)
  if os.WIFSIGNALED(status):
    return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
  return message


def attack(path, read, inputs, seconds=SECONDS):
  """Read inputs from a file; the last one stays if it fails."""
  signal.signal(signal.SIGALRM, signal.SIG_DFL)
  for number, content in enumerate(inputs):
    path.write_bytes(content)
    began = time.monotonic()
    signal.alarm(seconds)  # ends the process: C code cannot be interrupted
    try:
      read(path)
    except (ValueError, OSError):
      pass
    except BaseException:
      print(f"input {number}", flush=True)
      raise
    assert time.monotonic() - began < seconds / 2, f"input {number} is slow"


def rounds(request) -> int:
  return SOAK if request.config.getoption("--soak") else ROUNDS


@pytest.mark.parametrize("kind", KINDS)
def test_readers_of_mutated_files(kind, tmp_path, request):
  make, read = KINDS[kind]
  content, rng = make(tmp_path), np.random.default_rng(7)
  path = tmp_path / f"a.{kind.split()[-1]}"
  inputs = (mutated(content, rng) for _ in range(rounds(request)))
  found = [x for name, x in FOUND if name == kind]
  failed = forked(lambda: attack(path, read, [content, *found, *inputs]))
  assert not failed, f"{path}: {failed}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  config = pairs.PairConfig(segment_seconds=4.0, pairs=2)
  prepare.prepare(tiny.Scored(1, 0, 0), tiny.FrameEnergies, out, config)
  # Mutations reach the readers behind the checksums.
  path = out / "manifest.json"
  fields = json.loads(path.read_text())
  del fields["checksums"], fields["description_checksum"]
  path.write_text(json.dumps(fields))
  return out


PATTERNS = (
  "**/*array_record*",
  "**/dataset_info.json",
  "**/features.json",
  "beats.npz",
  "manifest.json",
  "songs/*",
)


def attack_data_set(out: pathlib.Path, count: int) -> None:
  limit_memory(16 * MEMORY)  # of addresses, which threads take many of
  for pattern in PATTERNS:
    (path,) = out.glob(pattern)

    def read(path, songs=pattern == "songs/*"):
      if songs:
        song_codes.Summary.load(path)
        song_codes.SongCodes.load(path)
      else:
        Manifest.load(out)
        list(records.Records(out, "train"))
        Beats.load(out)

    content, rng = path.read_bytes(), np.random.default_rng(7)
    inputs = (mutated(content, rng) for _ in range(count))
    attack(path, read, [content, *inputs])
    path.write_bytes(content)


def test_readers_of_mutated_data_sets(prepared, tmp_path, request):
  out = shutil.copytree(prepared, tmp_path / "codes")
  # Not forked: the writer of records has threads.
  process = multiprocessing.get_context("spawn").Process(
    target=attack_data_set, args=(out, rounds(request) // 3)
  )
  process.start()
  process.join()
  assert process.exitcode == 0, f"the last input is in {out}"
