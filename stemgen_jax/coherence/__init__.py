"""How well does a stem fit a context, in time and harmony?

A small network that was trained to tell a song's stem from others, in JAX; see
README.md.
"""

from stemgen_jax.coherence.network import Embedding as Embedding
from stemgen_jax.coherence.scoring import compared as compared
from stemgen_jax.coherence.scoring import embed as embed
from stemgen_jax.coherence.scoring import score as score
from stemgen_jax.coherence.scoring import scorer as scorer
from stemgen_jax.coherence.weights import load as load
