"""Songs into codes on a cluster: the work of `song_files` on Apache Beam.

A song is one element of the pipeline and one file, as on one machine: the
files have the same bytes, a restart goes on with the songs that are missing,
and the builder of `stem_codes` packs them where the command was given.
"""

import contextlib
import dataclasses
import io
import pathlib
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import tqdm

from stemgen_jax import disk
from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import encoding, pairs, song_codes

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
  """Where the work is done; a `song_files.EncodeMissing` when called.

  Attributes:
    runner: a runner of Beam, such as "DirectRunner" or "FlinkRunner".
    options: of the runner, "name=value" or "name" for a switch.
    shared: folder for the songs' files that every worker can write: a path,
      or a URL that Beam's file systems know (gs://, s3://, hdfs://); None
      where the workers see the folder of the data set itself.
  """

  runner: str
  options: tuple[str, ...] = ()
  shared: str | None = None

  def pipeline(self) -> beam.Pipeline:
    """An empty pipeline.

    Raises:
      ValueError: the runner is unknown, or its options are wrong or missing.
    """
    given = [f"--beam={option}" for option in self.options]
    flags = [f"--runner={self.runner}", *(f"--{o}" for o in self.options)]
    said = io.StringIO()
    try:
      with contextlib.redirect_stderr(said):  # where argparse complains
        options = PipelineOptions(flags)
        options.get_all_options()  # reads those it would only need later
        return beam.Pipeline(options=options)
    except (ValueError, SystemExit) as error:
      reason = said.getvalue().strip().rpartition("\n")[2] or str(error)
      raise ValueError(
        f"--runner={self.runner} {' '.join(given)}: {' '.join(reason.split())}"
      ) from error

  def __call__(
    self,
    source: songs.Songs,
    song_ids: Sequence[str],
    load_codec: Callable[[], Codec],
    config: pairs.PairConfig,
    folder: pathlib.Path,
    *,
    strict: bool = False,
  ) -> None:
    """As `song_files.encode_missing`, on the cluster.

    The source's files and the codec's must be there on every worker.

    Raises:
      ValueError: a song cannot be rendered, `strict` stopped at one, or the
        pipeline failed otherwise.
    """
    shared = self.shared or str(folder.absolute())
    names = {song_codes.song_path(folder, i).name: i for i in song_ids}
    self._bring(
      folder, [name for name in names if not (folder / name).exists()]
    )
    left = encoding.find_missing(source, song_ids, folder)
    missing = {name: i for name, i in names.items() if i in left}
    if not missing:
      return
    pipeline = self.pipeline()
    _ = (
      pipeline
      | "songs" >> beam.Create(list(missing.values()))
      | "spread" >> beam.Reshuffle()
      | "encode"
      >> beam.ParDo(_Encode(source, load_codec, config, shared, strict))
    )
    with _progress(shared, names):
      _run(pipeline)
    self._bring(folder, missing)

  def _bring(self, folder: pathlib.Path, names: Collection[str]) -> None:
    """Copies files from the shared folder, those of `names` that it has."""
    if self.shared is None or not names:
      return
    paths = _list(self.shared)
    for name in tqdm.tqdm(
      sorted(paths.keys() & set(names)),
      desc="fetching",
      unit="song",
      mininterval=0.2 if sys.stderr.isatty() else 30,
    ):
      with (
        FileSystems.open(paths[name]) as file,
        disk.replacing(folder / name) as partial,
      ):
        partial.write_bytes(file.read())


class _Encode(beam.DoFn):
  """A song's id -> its file in the shared folder."""

  def __init__(
    self,
    source: songs.Songs,
    load_codec: Callable[[], Codec],
    config: pairs.PairConfig,
    shared: str,
    strict: bool,
  ):
    self._source, self._load_codec = source, load_codec
    self._config, self._shared, self._strict = config, shared, strict

  def setup(self):
    """Once per worker."""
    # Ids travel, not songs: a job's description must stay small, and listing
    # a source is cheap.
    self._songs: dict[str, songs.Song] = {}
    for song in self._source.songs():
      self._songs.setdefault(song.id, song)  # of two with one id the first
    self._codec = self._load_codec()

  def process(self, element: str) -> Iterable[str]:
    """Encodes one song."""
    with tempfile.TemporaryDirectory() as local:
      folder = pathlib.Path(local)
      task = encoding.Task(self._config, folder, self._strict)
      encoding.encode_to_file(self._songs[element], self._codec, task)
      file = song_codes.song_path(folder, element)
      _write(FileSystems.join(self._shared, file.name), file.read_bytes())
    yield element


def _write(path: str, content: bytes) -> None:
  """Writes a file in one step.

  The temporary name is nobody else's, for a runner may try an element again
  while the first try still lives; both write the same bytes.
  """
  partial = f"{path}.{uuid.uuid4().hex}.partial"
  try:
    with FileSystems.create(partial) as file:
      file.write(content)
    FileSystems.rename([partial], [path])
  except BaseException:
    with contextlib.suppress(Exception):  # what went wrong first is told
      FileSystems.delete([partial])
    raise


def _list(folder: str) -> dict[str, str]:
  """Name -> path or URL of the songs' files in a folder."""
  if "://" not in folder:
    return {p.name: str(p) for p in pathlib.Path(folder).glob("*.npz")}
  (matched,) = FileSystems.match([FileSystems.join(folder, "*.npz")])
  paths = [metadata.path for metadata in matched.metadata_list]
  return {path.rpartition("/")[2]: path for path in paths}


def _run(pipeline: beam.Pipeline) -> None:
  try:
    pipeline.run().wait_until_finish()
  except Exception as error:  # a runner raises whatever it likes
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next(
      (line for line in reversed(lines) if "song " in line),
      lines[-1] if lines else repr(error),
    )
    raise ValueError(
      f"the pipeline failed: {reason}\nThe songs that are done are kept; the "
      "same command goes on with the others"
    ) from error


@contextlib.contextmanager
def _progress(folder: str, names: dict[str, str]) -> Iterator[None]:
  """A bar that counts the files as they appear: runners have none."""
  seconds = 1.0 if "://" not in folder else 15.0
  finished = threading.Event()

  def done() -> int:
    return len(names.keys() & _list(folder).keys())

  bar = tqdm.tqdm(
    total=len(names),
    initial=done(),
    desc="encoding",
    unit="song",
    mininterval=0.2 if sys.stderr.isatty() else 30,
  )

  def watch() -> None:
    while not finished.wait(seconds):
      bar.update(done() - bar.n)

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
  finally:
    finished.set()
    thread.join()
    bar.update(done() - bar.n)
    bar.close()
