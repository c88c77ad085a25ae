"""Trains every combination of some settings, and tables what came of it.

  python launch/sweep.py --config=configs/demo.py --data=data/demo \\
    --out=runs/embedding --set=config.model.embedding=table,codebook \\
    --set=config.seed=0,1 --set=config.steps=400

Here that is 2 x 2 runs, one after another, each in a folder of --out. Stopped
(Ctrl-C, kill) and called again it goes on where it was; runs that are done are
not repeated. At the end, and with --collect at any time, table.md and
table.json in --out have a row for every run. A value with commas stands in
brackets: --set='config.mask.level_weights=(0.4,0.2,0.2,0.2),()'.

For a cluster, --print shows the commands, one a line; start each as a job, then
--collect.
"""

import argparse
import itertools
import json
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stemgen_jax.training import metrics

_FIGURES = "accuracy,loss_per_level,all_masked_true,listening_gain"


class Run(NamedTuple):
  """One combination: what is set, its folder, its command."""

  settings: dict[str, str]
  folder: pathlib.Path
  command: list[str]


def parse(text: str) -> tuple[str, list[str]]:
  """Splits "FLAG=VALUE,VALUE" at the commas outside of brackets and quotes.

  Raises:
    ValueError: there is no flag, no value, or a value twice.
  """
  flag, _, values = text.partition("=")
  part = r"""(?:[^,()\[\]'"]|\([^()]*\)|\[[^\[\]]*\]|'[^']*'|"[^"]*")*"""
  found = [part.strip() for part in re.findall(rf"({part})(?:,|$)", values)]
  found = found[:-1] if found and not found[-1] else found
  if not re.fullmatch(r"[A-Za-z_][\w.]*", flag) or not all(found) or not found:
    raise ValueError(
      f"--set={text}: expected a flag of `stemgen-jax train` and its values, "
      "as --set=config.seed=0,1"
    )
  if len(set(found)) < len(found):
    raise ValueError(f"--set={text}: a value is there twice")
  return flag, found


def expand(
  sets: Sequence[str], config: str, data: str, out: pathlib.Path
) -> list[Run]:
  """All combinations, each in a folder named by what differs between them.

  Raises:
    ValueError: as `parse`, or a flag is set twice or by the sweep itself.
  """
  choices = [parse(text) for text in sets]
  names = [flag for flag, _ in choices]
  for name in names:
    if names.count(name) > 1 or name in ("config", "data", "out"):
      raise ValueError(f"--set={name}=...: it is given elsewhere already")
  runs = []
  for values in itertools.product(*(values for _, values in choices)):
    settings = dict(zip(names, values))
    differing = {
      flag.removeprefix("config."): settings[flag]
      for flag, values in choices
      if len(values) > 1
    }
    name = "+".join(f"{flag}={value}" for flag, value in differing.items())
    # So that it needs no quotes, and is one folder.
    name = re.sub(r"[^\w.+=-]+", "_", name) or "run"
    folder = out / name
    runs.append(
      Run(
        settings,
        folder,
        [
          "train",
          f"--config={config}",
          f"--data={data}",
          f"--out={folder}",
          *(f"--{flag}={value}" for flag, value in settings.items()),
        ],
      )
    )
  if len({run.folder for run in runs}) < len(runs):
    raise ValueError("two combinations have one name: " + ", ".join(names))
  return runs


def is_done(run: Run) -> bool:
  """Whether a run of just this command has come to its end."""
  log = run.folder / "log.jsonl"
  starts = [x for x in metrics.read_log(log) if x["kind"] == "start"]
  return metrics.has_ended(log) and starts[-1]["command"] == _shown(run)


def train(runs: Sequence[Run]) -> int:
  """Trains what is not done, one run after another.

  Returns:
    The exit code: 0 when all are done, else that of the run that was not.
  """
  for number, run in enumerate(runs, 1):
    said = f"{number}/{len(runs)} {run.folder.name}"
    if is_done(run):
      print(f"{said}: done", flush=True)
      continue
    print(f"{said}: {_shown(run)}", flush=True)
    code = _call([sys.executable, "-m", "stemgen_jax", *run.command])
    if code:
      print(f"{said}: ended with exit code {code}", file=sys.stderr)
      return code
    if not is_done(run):
      print(f"{said}: stopped; the same command goes on", file=sys.stderr)
      return 130
  return 0


def _call(command: Sequence[str]) -> int:
  """Runs a command; who asks us to stop asks it, and it saves first."""
  with subprocess.Popen(command) as process:

    def forward(number: int, _: object) -> None:
      # Ctrl-C has reached all processes of the terminal already.
      if number == signal.SIGTERM:
        process.send_signal(number)

    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, forward) for number in signals]
    try:
      return process.wait()
    finally:
      for number, handler in zip(signals, before):
        signal.signal(number, handler)


def _shown(run: Run) -> str:
  return shlex.join(["stemgen-jax", *run.command])


def collect(
  runs: Sequence[Run], figures: Sequence[str]
) -> list[dict[str, Any]]:
  """A row for every run: what is set, and the figures that there are.

  `reached` is its last step, `best_step` that of the validation with the
  highest accuracy, which the figures are of.
  """
  rows = []
  for run in runs:
    lines = metrics.read_log(run.folder / "log.jsonl")
    of = {
      kind: [line for line in lines if line["kind"] == kind]
      for kind in ("train", "validation")
    }
    known: dict[str, Any] = {}
    if of["validation"]:
      known |= max(of["validation"], key=lambda x: x.get("accuracy", 0))
    if of["train"]:
      known |= {f"train/{k}": x for k, x in of["train"][-1].items()}
    rows.append(
      run.settings
      | {
        "reached": known.get("train/step", 0),
        "done": is_done(run),
        "best_step": known.get("step"),
      }
      | {name: known.get(name) for name in figures}
    )
  return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
  """The rows as Markdown; what is set alike in all is said above."""
  first, *others = rows
  same = {}
  for name, value in first.items():
    if name == "reached":  # here the settings end
      break
    if others and all(row[name] == value for row in others):
      same[name.removeprefix("config.")] = value
  columns = [x for x in first if x.removeprefix("config.") not in same]
  said = ", ".join(f"{name} {_cell(value)}" for name, value in same.items())
  lines = [f"In all runs: {said}.", ""] if same else []
  lines += [
    "| " + " | ".join(name.removeprefix("config.") for name in columns) + " |",
    "|" + "---|" * len(columns),
  ]
  for row in rows:
    lines.append("| " + " | ".join(_cell(row[name]) for name in columns) + " |")
  return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
  if isinstance(value, list):
    return " ".join(map(_cell, value))
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:.4g}"
  return "-" if value is None else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
  """Trains, prints or collects."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    "--config", required=True, help="file, such as configs/demo.py"
  )
  parser.add_argument("--data", required=True, help="as of `stemgen-jax train`")
  parser.add_argument(
    "--out", required=True, help="folder for the runs and the table"
  )
  parser.add_argument(
    "--set",
    action="append",
    default=[],
    metavar="FLAG=VALUE,VALUE,...",
    help="a flag of `stemgen-jax train`, without dashes, and its values; of "
    "several all combinations, the last one changing fastest",
  )
  only = parser.add_mutually_exclusive_group()
  only.add_argument(
    "--print", action="store_true", help="only show the commands"
  )
  only.add_argument(
    "--collect", action="store_true", help="only make the table"
  )
  parser.add_argument(
    "--figures",
    default=_FIGURES,
    help="columns: figures of the best validation; with train/ in front those "
    "of the last training line, as train/examples_per_second "
    "(default: %(default)s)",
  )
  given, unknown = parser.parse_known_args(arguments)
  for text in unknown:
    flag = text.lstrip("-")
    if flag.startswith("config."):
      parser.error(f"{text}: what runs are told is set by --set={flag}")
    parser.error(f"{text} is no flag of this; those of a run go into --set")
  out = pathlib.Path(given.out)
  try:
    runs = expand(given.set, given.config, given.data, out)
  except ValueError as error:
    parser.error(str(error))
  if not pathlib.Path(given.config).is_file():
    parser.error(f"--config={given.config}: no such file")
  if given.print:
    print("\n".join(_shown(run) for run in runs))
    return 0
  code = 0 if given.collect else train(runs)
  rows = collect(runs, given.figures.split(","))
  out.mkdir(parents=True, exist_ok=True)
  (out / "table.json").write_text(json.dumps(rows, indent=2) + "\n")
  (out / "table.md").write_text(table(rows))
  print(table(rows), end="")
  return code


if __name__ == "__main__":
  sys.exit(main())
