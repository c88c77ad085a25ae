import pytest
import tones
from loudness import Loudness

from stemgen_jax.data.preparation import pairs, prepare


@pytest.fixture(scope="session")
def codes(tmp_path_factory):
  """Prepared codes of tones."""
  out = tmp_path_factory.mktemp("codes") / "codes"
  config = pairs.PairConfig(segment_seconds=2.0, pairs=4)
  prepare.prepare(tones.Tones(), Loudness, out, config)
  return out
