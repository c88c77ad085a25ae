"""Train every combination of some settings and tabulate the results.

  python launch/sweep.py --config=configs/demo.py --data=data/demo \\
    --out=runs/embedding --set=config.model.embedding=table,codebook \\
    --set=config.seed=0,1 --set=config.steps=400

This trains 2 x 2 runs, one after another, each in a folder in --out. If the
sweep is stopped (Ctrl-C, kill), the same command resumes it; finished runs are
not repeated. At the end, and with --collect at any time, it writes table.md and
table.json to --out, with one row per run. Put a value that contains commas in
brackets: --set='config.mask.level_weights=(0.4,0.2,0.2,0.2),()'.

For a cluster, --print prints the commands, one per line; start each as a job,
then run --collect.
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
  """One combination: its settings, folder and command."""

  settings: dict[str, str]
  folder: pathlib.Path
  command: list[str]


def parse(text: str) -> tuple[str, list[str]]:
  """Split "FLAG=VALUE,VALUE" at the commas outside brackets and quotes.

  Raises:
    ValueError: the flag or a value is missing, or a value is repeated.
  """
  flag, _, values = text.partition("=")
  # Commas inside (), [] and quotes belong to a value.
  part = r"""(?:[^,()\[\]'"]|\([^()]*\)|\[[^\[\]]*\]|'[^']*'|"[^"]*")*"""
  found = [part.strip() for part in re.findall(rf"({part})(?:,|$)", values)]
  found = found[:-1] if found and not found[-1] else found
  if not re.fullmatch(r"[A-Za-z_][\w.]*", flag) or not all(found) or not found:
    raise ValueError(
      f"--set={text}: expected a flag of `stemgen-jax train` and its values, "
      "such as --set=config.seed=0,1"
    )
  if len(set(found)) < len(found):
    raise ValueError(f"--set={text}: repeated value; expected each value once")
  return flag, found


def expand(
  sets: Sequence[str], config: str, data: str, out: pathlib.Path
) -> list[Run]:
  """List all combinations, each with a folder named by the varying values.

  Raises:
    ValueError: as for `parse`, or a flag is set twice or by the sweep itself.
  """
  choices = [parse(text) for text in sets]
  names = [flag for flag, _ in choices]
  for name in names:
    if names.count(name) > 1 or name in ("config", "data", "out"):
      raise ValueError(
        f"--set={name}=...: already set; expected each flag once, and "
        "--config, --data and --out outside of --set"
      )
  runs = []
  for values in itertools.product(*(values for _, values in choices)):
    settings = dict(zip(names, values))
    differing = {
      flag.removeprefix("config."): settings[flag]
      for flag, values in choices
      if len(values) > 1
    }
    name = "+".join(f"{flag}={value}" for flag, value in differing.items())
    # A single folder whose name needs no quotes in a shell.
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
    raise ValueError(
      "--set: two combinations have the same folder name; change the values of "
      + ", ".join(names)
    )
  return runs


def is_done(run: Run) -> bool:
  """Return whether a run of exactly this command has finished."""
  log = run.folder / "log.jsonl"
  # A folder may hold a run of another command: compare the last start.
  starts = [x for x in metrics.read_log(log) if x["kind"] == "start"]
  return metrics.has_ended(log) and starts[-1]["command"] == _shown(run)


def train(runs: Sequence[Run]) -> int:
  """Train the unfinished runs, one after another.

  Returns:
    Exit code: 0 if all runs are finished, else that of the first that is not.
  """
  for number, run in enumerate(runs, 1):
    label = f"{number}/{len(runs)} {run.folder.name}"
    if is_done(run):
      print(f"{label}: done", flush=True)
      continue
    print(f"{label}: {_shown(run)}", flush=True)
    # -P: no modules of the working directory.
    code = _call([sys.executable, "-P", "-m", "stemgen_jax", *run.command])
    if code:
      print(f"{label}: ended with exit code {code}", file=sys.stderr)
      return code
    if not is_done(run):
      print(f"{label}: stopped; the same command resumes it", file=sys.stderr)
      return 130
  return 0


def _call(command: Sequence[str]) -> int:
  """Run a command and pass SIGTERM on, so that it saves before it ends."""
  with subprocess.Popen(command) as process:

    def forward(number: int, _: object) -> None:
      # The terminal sends SIGINT to the whole process group itself.
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
  """Return one row per run: its settings and the available figures.

  `reached` is the last step. `best_step` is the step with the highest
  validation accuracy; the figures are those of this step.
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
  """Format the rows as Markdown, with the common settings in a line above."""
  first, *others = rows
  same = {}
  for name, value in first.items():
    if name == "reached":  # the first column after the settings
      break
    # A setting that all runs share goes into the line above the table.
    if others and all(row[name] == value for row in others):
      same[name.removeprefix("config.")] = value
  columns = [x for x in first if x.removeprefix("config.") not in same]
  common = ", ".join(f"{name} {_cell(value)}" for name, value in same.items())
  lines = [f"In all runs: {common}.", ""] if same else []
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
  """Train the runs, print their commands or collect their results."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    "--config", required=True, help="configuration, such as configs/demo.py"
  )
  parser.add_argument(
    "--data", required=True, help="as for `stemgen-jax train`"
  )
  parser.add_argument(
    "--out", required=True, help="folder for the runs and the table"
  )
  parser.add_argument(
    "--set",
    action="append",
    default=[],
    metavar="FLAG=VALUE,VALUE,...",
    help="a flag of `stemgen-jax train`, without dashes, and its values; "
    "several --set give all combinations, the last one varying fastest",
  )
  only = parser.add_mutually_exclusive_group()
  only.add_argument(
    "--print", action="store_true", help="only print the commands"
  )
  only.add_argument(
    "--collect", action="store_true", help="only write the table"
  )
  parser.add_argument(
    "--figures",
    default=_FIGURES,
    help="columns: figures of the best validation, or with the prefix train/ "
    "of the last training line, such as train/examples_per_second "
    "(default: %(default)s)",
  )
  given, unknown = parser.parse_known_args(arguments)
  for text in unknown:
    flag = text.lstrip("-")
    if flag.startswith("config."):
      parser.error(f"{text}: flags of the runs are set by --set={flag}")
    parser.error(
      f"{text}: unknown flag; flags of the runs are set by --set=FLAG=VALUES"
    )
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
