"""StemGen in JAX: generate stems that fit a piece of music.

```python
from stemgen_jax import StemGen

take = StemGen.load("demo").generate("my_mix.wav", stem="bass", seed=3)
take.save("out")
```
"""

from typing import TYPE_CHECKING, Any

from stemgen_jax.version import __version__

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen, Take

__all__ = ["StemGen", "Take", "__version__"]


def __getattr__(name: str) -> Any:
  # Imported on first use: the command line checks its input without jax.
  if name not in ("StemGen", "Take"):
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  from stemgen_jax.generation import stemgen

  return getattr(stemgen, name)


def __dir__() -> list[str]:
  return __all__
