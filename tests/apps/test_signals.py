"""Ctrl-C and SIGTERM at moments of every command; a second run completes."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from stemgen_jax.audio import Audio, write

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.processes

BAND = "--songs=2", "--seconds=4", "--style=demo"
# Command, signal, moment, and what its output says then.
CASES = {
  "import": (["prepare", *BAND], signal.SIGINT, 0.7, ""),
  "prepare, workers start": (
    ["prepare", *BAND, "--workers=2"],
    signal.SIGINT,
    0.5,
    "encoding",
  ),
  "prepare": (
    ["prepare", *BAND, "--workers=2", "--pairs=200"],
    signal.SIGTERM,
    12.0,
    "encoding",
  ),
  "generate": (
    ["generate", "--seconds=9", "--steps=64"],
    signal.SIGINT,
    0.5,
    "compiling|loaded",
  ),
  "train_codec": (
    ["train_codec", "--songs=1", "--song_seconds=2", "--steps=1000"],
    signal.SIGTERM,
    1.0,
    "rendering|training",
  ),
  "evaluate": (
    ["evaluate", "--examples=2", "--mirdd=false"],
    signal.SIGINT,
    1.0,
    "generating",
  ),
}
