"""Settings every test shares."""

import os

import jax

# Before the first computation: eight simulated devices stand for a mesh.
jax.config.update("jax_num_cpu_devices", 8)
os.environ.setdefault("OMP_NUM_THREADS", "2")
