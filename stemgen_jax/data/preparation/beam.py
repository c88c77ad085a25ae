"""Encode songs on a cluster: the work of `workers` on Apache Beam.

A song is one element of the pipeline and one file, as on one machine: the
files have the same bytes, a restart resumes with the missing songs, and the
files are packed on the machine where the command was given.
"""

import contextlib
import dataclasses
import io
import pathlib
import tempfile
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from stemgen_jax import disk, progress
from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import encoding, song_codes, workers

try:
  import apache_beam as beam
  from apache_beam.io.filesystems import FileSystems
  from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
  raise ImportError(
    "--runner needs Apache Beam: pip install -e '.[beam]' "
    "-c launch/constraints.txt (for Dataflow also 'apache-beam[gcp]')"
  ) from error


@dataclasses.dataclass(frozen=True)
class Cluster:
  """A cluster that encodes songs when called.

  Attributes:
    runner: runner of Beam, such as "DirectRunner" or "FlinkRunner".
    options: options of the runner, "name=value", or "name" for a switch.
    shared: folder for the songs' files that every worker can write: a path,
      or a URL of Beam's file systems (gs://, s3://, hdfs://); None if the
      workers see the folder of the data set itself.
  """

  runner: str
  options: tuple[str, ...] = ()
  shared: str | None = None

  def pipeline(self) -> beam.Pipeline:
    """Return an empty pipeline.

    Raises:
      ValueError: the runner is unknown, or its options are wrong or missing.
    """
    given = [f"--beam={option}" for option in self.options]
    flags = [f"--runner={self.runner}", *(f"--{o}" for o in self.options)]
    printed = io.StringIO()
    try:
      # Beam's argparse prints mistakes and exits.
      with contextlib.redirect_stderr(printed):
        options = PipelineOptions(flags)
        options.get_all_options()  # reads options that are needed later only
        return beam.Pipeline(options=options)
    except (ValueError, SystemExit) as error:
      reason = printed.getvalue().strip().rpartition("\n")[2] or str(error)
      raise ValueError(
        f"--runner={self.runner} {' '.join(given)}: {' '.join(reason.split())}"
      ) from error

  def __call__(
    self,
    source: songs.Songs,
    missing: Sequence[songs.Song],
    load_codec: Callable[[], Codec],
    task: encoding.Task,
    *,
    done: int,
  ) -> dict[str, song_codes.Summary]:
    """Encode songs as `workers.encode_missing` does, on the cluster.

    Every worker needs the files of the source and of the codec.

    Raises:
      ValueError: a song cannot be rendered, `strict` stopped at one, or the
        pipeline failed otherwise.
    """
    folder = task.folder
    shared = self.shared or str(folder.absolute())
    names = {
      song.id: song_codes.song_path(folder, song.id).name for song in missing
    }
    new = [x for x, name in names.items() if not (folder / name).exists()]
    self._fetch(folder, [names[song_id] for song_id in new])
    summaries = song_codes.summaries(folder, new)
    missing = workers.find_missing(
      missing, summaries, folder, keep_suspicious=task.keep_suspicious
    )
    if not missing:
      return summaries
    left = [song.id for song in missing]
    pipeline = self.pipeline()
    _ = (
      pipeline
      | "songs" >> beam.Create([(song.id, song.targets) for song in missing])
      | "spread" >> beam.Reshuffle()
      | "encode" >> beam.ParDo(_Encode(source, load_codec, task, shared))
    )
    with _progress(shared, set(names.values()), done):
      _run(pipeline)
    self._fetch(folder, [names[song_id] for song_id in left])
    return summaries | song_codes.summaries(folder, left)

  def _fetch(self, folder: pathlib.Path, names: Collection[str]) -> None:
    """Copy files from the shared folder: `names`, as far as it has them."""
    if self.shared is None or not names:
      return
    paths = _list(self.shared)
    for name in progress.bar(
      sorted(paths.keys() & set(names)), desc="fetching", unit="song"
    ):
      with (
        FileSystems.open(paths[name]) as shared,
        disk.replacing(folder / name) as file,
      ):
        file.write(shared.read())


class _Encode(beam.DoFn):
  """Encode songs to files in the shared folder."""

  def __init__(
    self,
    source: songs.Songs,
    load_codec: Callable[[], Codec],
    task: encoding.Task,
    shared: str,
  ):
    self._source, self._load_codec = source, load_codec
    self._task, self._shared = task, shared

  def setup(self):
    """List the songs and load the codec, once per worker."""
    # Ids travel, not songs: runners limit the size of a job's description, and
    # listing a source is cheap.
    self._songs: dict[str, songs.Song] = {}
    for song in self._source.songs():
      self._songs.setdefault(song.id, song)  # the first of two with one id
    self._codec = self._load_codec()

  def process(self, element: tuple[str, Sequence[str]]) -> Iterable[str]:
    """Encode a song, given by its id and the names of its targets."""
    song_id, targets = element
    song = self._songs[song_id].with_targets(targets)
    with tempfile.TemporaryDirectory() as local:
      folder = pathlib.Path(local)
      task = dataclasses.replace(self._task, folder=folder)
      encoding.encode_to_file(song, self._codec, task)
      file = song_codes.song_path(folder, song_id)
      _write(FileSystems.join(self._shared, file.name), file.read_bytes())
    yield song_id


def _write(path: str, content: bytes) -> None:
  """Write a file in one step.

  The temporary name is unique, because a runner may retry an element while the
  first attempt still runs; both write the same bytes.
  """
  partial = f"{path}.{uuid.uuid4().hex}.partial"
  try:
    with FileSystems.create(partial) as file:
      file.write(content)
    FileSystems.rename([partial], [path])
  except BaseException:
    with contextlib.suppress(Exception):  # the first error is reported
      FileSystems.delete([partial])
    raise


def _list(folder: str) -> dict[str, str]:
  """Return name -> path or URL of the songs' files in a folder."""
  if "://" not in folder:
    return {p.name: str(p) for p in pathlib.Path(folder).glob("*.npz")}
  (matched,) = FileSystems.match([FileSystems.join(folder, "*.npz")])
  paths = [metadata.path for metadata in matched.metadata_list]
  return {path.rpartition("/")[2]: path for path in paths}


def _run(pipeline: beam.Pipeline) -> None:
  try:
    pipeline.run().wait_until_finish()
  except Exception as error:  # every runner raises its own types
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next(
      (line for line in reversed(lines) if "song " in line),
      lines[-1] if lines else repr(error),
    )
    raise ValueError(
      f"the pipeline failed: {reason}\nThe songs that are done are kept; the "
      "same command resumes with the others"
    ) from error


@contextlib.contextmanager
def _progress(folder: str, names: set[str], done: int) -> Iterator[None]:
  """Show a bar that counts the files as they appear: runners have none."""
  seconds = 1.0 if "://" not in folder else 15.0
  finished = threading.Event()

  def count() -> int:
    return done + len(names & _list(folder).keys())

  bar = progress.bar(
    total=done + len(names), initial=count(), desc="encoding", unit="song"
  )

  def watch() -> None:
    while not finished.wait(seconds):
      bar.update(count() - bar.n)

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
  finally:
    finished.set()
    thread.join()
    bar.update(count() - bar.n)
    bar.close()
