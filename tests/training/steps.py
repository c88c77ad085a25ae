"""Tiny training steps, each compiled once for all tests."""

from typing import Any

import jax
import numpy as np
from fake_data import fake_data, tiny_config

from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state, make_train_step


def resolved(**changes):
  return resolve(tiny_config(**changes), fake_data())


COMPILED = {}


def once(function, config):
  """Compiled once for all tests of one configuration and mesh."""
  name = function, repr(config), jax.sharding.get_mesh()
  return COMPILED.setdefault(name, function(config))


def initial(config):
  return jax.jit(lambda key, books: init_state(config, key, books))


def fresh(config):
  return once(initial, config)(jax.random.key(0), fake_data().codebooks)


def train_step(config) -> Any:
  return once(make_train_step, config)


def named(tree):
  """Leaves by their path, as "blocks/query/kernel"."""
  return {
    # Copied: a view would keep the buffer from being donated.
    jax.tree_util.keystr(path, simple=True, separator="/"): np.array(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }
