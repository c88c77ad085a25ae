"""Measure parts of the system: python launch/benchmark.py PART [--help].

model        speed of the model and of training, compared with PyTorch
batches      examples per second read from disk, against a GPU's consumption
codec        processing time per second of audio; below 1 beats real time
kernels      bytes moved by one sampling step after the last layer
first_sound  time from the start of a process to its stem
agreement    share of equal codes between batched and sequential sampling
live         chunks that are ready in time, drift and memory in real time
detection    tempi and keys detected in held-out songs of the band
scaling      strong and weak scaling of training, planned on simulated devices
"""

import argparse
import importlib
import sys


def main() -> None:
  """Run one part of the benchmark."""
  arguments = parser().parse_args()
  # Imported here: parts need different libraries, and --help needs none.
  part = importlib.import_module(f"benchmarks.{arguments.part}")
  try:
    part.run(arguments)
  except (ValueError, OSError) as error:
    sys.exit(f"benchmark.py {arguments.part}: error: {error}")


def parser() -> argparse.ArgumentParser:
  """Return the parser of the command line, one subcommand per part."""
  whole = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parts = whole.add_subparsers(dest="part", required=True)
  part = parts.add_parser("model", help="model and training step, with PyTorch")
  part.add_argument("--sizes", default="4x256,6x256,8x512,20x1024")
  part.add_argument("--works", default="forward,train")
  part.add_argument(
    "--dtypes",
    help="default: float32, and bfloat16 where its products are faster",
  )
  part.add_argument("--rounds", type=int, default=3, help="least runs of each")
  part.add_argument(
    "--seconds", type=float, default=20.0, help="time for further rounds"
  )
  part.add_argument("--gemm", type=int, default=2048, help="size of the GEMM")
  part.add_argument(
    "--widest_step",
    action="store_true",
    help="also the training step of 20x1024, with batch 2",
  )
  part.add_argument(
    "--baseline", help="checkout of another commit, to run in the same rounds"
  )
  part.add_argument(
    "--baseline_worker", help="worker.py for it, if it has none of its own"
  )
  part = parts.add_parser("batches", help="examples per second from disk")
  part.add_argument(
    "--data", help="prepared folder; default: random codes in the paper's shape"
  )
  part.add_argument("--seconds", type=float, default=10.0)
  part.add_argument("--threads", type=int, default=2)
  part = parts.add_parser("codec", help="real-time factors of the codecs")
  part.add_argument("--codecs", help="default: demo and the published ones")
  part.add_argument("--seconds", type=float, default=5.0, help="audio length")
  part.add_argument("--threads", default="1,2")
  part = parts.add_parser("first_sound", help="process start to stem.wav")
  part.add_argument("--presets", default="fast,default")
  part.add_argument("--rounds", type=int, default=3)
  part.add_argument(
    "--baseline", help="checkout of another commit, to run in the same rounds"
  )
  part.add_argument("--cache", help="folder for the caches; default: temporary")
  part = parts.add_parser("kernels", help="bytes moved by one sampling step")
  part.add_argument("--width", type=int, default=1024)
  part.add_argument("--frames", type=int, default=1000)
  part = parts.add_parser(
    "agreement", help="batched against sequential sampling"
  )
  part.add_argument("--weights", default="demo")
  part.add_argument("--takes", type=int, default=8)
  part.add_argument("--preset", default="default")
  part.add_argument("--steps", help="steps per level, such as 16,8,4,4")
  part = parts.add_parser("live", help="play along in real time")
  part.add_argument("--weights", default="demo")
  part.add_argument("--preset", default="default", help="the most passes")
  part.add_argument("--minutes", type=float, default=10.0, help="of steady")
  part.add_argument("--seconds", type=float, default=40.0, help="of the others")
  part.add_argument("--scenes", default="steady,stall,pause,slow,fast")
  part.add_argument("--bars", type=int, default=2, help="of a chunk")
  part.add_argument("--slack", type=float, default=4.0, help="in beats")
  part.add_argument("--future", default="auto")
  part.add_argument(
    "--simulate", action="store_true", help="wait by a simulated clock"
  )
  part = parts.add_parser("detection", help="tempo and key of the band's songs")
  part.add_argument("--songs", type=int, default=64)
  part.add_argument("--seconds", type=float, default=8.0, help="of each song")
  part.add_argument(
    "--fit", action="store_true", help="fit the weights to training songs"
  )
  part = parts.add_parser(
    "scaling",
    help="strong and weak scaling, planned",
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  part.add_argument(
    "--config", default="configs/slakh.py", help="configuration to plan"
  )
  part.add_argument(
    "--devices", default="1,2,4,8", help="numbers of simulated devices"
  )
  part.add_argument("--batch", type=int, default=40, help="of strong scaling")
  part.add_argument(
    "--per_device", type=int, default=5, help="batch of one, weak scaling"
  )
  part.add_argument(
    "--hardware",
    default="TPU-v5e,TPU-v5p,H100-80GB",
    help="devices whose times are predicted, as of train --device",
  )
  return whole


if __name__ == "__main__":
  main()
