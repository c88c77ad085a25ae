"""Transfer weights to another codec, as a start for training on its codes.

The blocks stay as they are. What a code of the new codec means to them follows
from the codes that both codecs give the same audio.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from stemgen_jax import audio, progress
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.records import Records
from stemgen_jax.model import Weights, init_params
from stemgen_jax.model.transformer import code_rows

# Frames by which the means of rare codes are drawn to zero.
_PRIOR = 3.0
# Rounds over the levels; the third explains 0.5 % more than the second.
_ROUNDS = 3

Codes = Int[np.ndarray, "n q"]
Others = Int[np.ndarray, "n p"]


def check_codec(codec: Codec) -> None:
  """Raise ValueError for a codec whose codes are not all of the sound."""
  if isinstance(codec, ScaledCodec):
    raise ValueError(
      f"codec {codec.name!r}: codes of segments with scales; expected a codec "
      "without them, such as encodec_32khz"
    )


def matched_codes(
  records: Records | list[dict[str, Any]],
  codec: Codec,
  other: Codec,
  count: int,
  seed: int = 0,
) -> tuple[Codes, Others]:
  """Return codes of the same frames in two codecs.

  Records are decoded by their own codec, and encoded by the other one.

  Args:
    records: records of pairs.
    codec: codec of the records.
    other: the other codec.
    count: number of records to take, with context and target; at most all.
    seed: seed of their choice.

  Returns:
    Codes of `codec`, int32 [n, q], and of `other`, int32 [n, p], of the frame
    in which the middle of each frame of `codec` is.
  """
  order = np.random.default_rng(seed).permutation(len(records))[:count]
  ours, theirs = [], []
  for number in progress.bar(order.tolist(), desc="codes", unit="pair"):
    for name in ("context", "target"):
      codes = records[number][name].astype(np.int32)  # [t, q]
      (samples,) = codec.decode(codes[None])  # [n, c]
      if codec.channels != other.channels:
        samples = audio.fold_down(samples).repeat(other.channels, axis=1)
      samples = audio.resample(samples, codec.sample_rate, other.sample_rate)
      (encoded,) = other.encode(samples[None])  # [t', p]
      middles = (np.arange(len(codes)) + 0.5) / codec.frame_rate
      frames = (middles * other.frame_rate).astype(int)
      ours.append(codes)
      theirs.append(encoded[frames.clip(max=len(encoded) - 1)])
  return np.concatenate(ours), np.concatenate(theirs)


def transfer(
  weights: Weights, data: Manifest, ours: Codes, theirs: Others
) -> tuple[Weights, float]:
  """Return weights that read and predict the codes of a data set.

  Sums of the embeddings of all levels are fitted by least squares; a head's
  column is the mean of those of the codes in the same frames.

  Args:
    weights: weights of another codec.
    data: the data set.
    ours: codes of the data's codec, see `matched_codes`.
    theirs: codes of the weights' codec in the same frames.

  Returns:
    The weights, and the share of the variance of the embeddings that the fit
    explains.
  """
  config = dataclasses.replace(
    weights.config,
    codec=data.codec,
    codec_checksum=data.checksum,
    frame_rate=data.frame_rate,
    levels=data.levels,
    codes=data.codes,
    latent=data.codebooks.shape[-1],
  )
  levels, last = range(config.levels), weights.config.levels - 1
  new = jax.tree.map(np.array, init_params(config, jax.random.key(0)))
  embedding = new["embedding"]
  if config.embedding == "codebook":
    embedding["codebooks"] = np.asarray(data.codebooks, np.float32)
  # [p, v, e]; the last row is that of MASK.
  known = np.asarray(code_rows(weights.config, weights.params))[:, :-1]
  rows = _fit_rows(ours, theirs, known, config.codes)
  # The table is what the projected codebooks lack.
  embedding["table"] = np.zeros_like(embedding["table"])
  projected = np.asarray(code_rows(config, new))[:, :-1]
  embedding["table"] = rows - projected

  old = jax.tree.map(np.asarray, weights.params)
  heads, mask = old["head"], old["embedding"]["mask"]  # [p, d, v], [p, 1, e]
  head = np.stack(
    [
      # A level that the weights lack begins as their last one.
      _means(ours[:, level], theirs[:, p], heads[p].T, config.codes).T
      for level, p in ((level, min(level, last)) for level in levels)
    ]
  )
  kept = {x: y for x, y in old["embedding"].items() if x in embedding}
  of_codes = ("table", "codebooks", "projection")
  embedding |= {x: y for x, y in kept.items() if x not in of_codes}
  # The sum over all levels, where decoding begins, stays as it was.
  embedding["mask"] = np.zeros((config.levels, *mask.shape[1:]), np.float32)
  for level, row in enumerate(mask):
    embedding["mask"][min(level, config.levels - 1)] += row
  params = old | {"embedding": embedding, "head": head}
  params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
  explained = _explained(rows, ours, known, theirs)
  licences = ("license", "data_license")
  metadata = {
    **{x: y for x, y in weights.metadata.items() if x in licences},
    "steps": 0,
    "codec": data.codec,
    "codec_checksum": data.checksum,
    "categories": weights.metadata.get("categories", []),
    "context_rms_db": data.context_rms_db,
    "scale_ratio": data.scale_ratio,
    "loudness": data.loudness,
    "roles": data.roles,
    "transferred_from": weights.config.codec,
    "explained": round(explained, 4),
  }
  return Weights(config, params, metadata), explained


def _together(
  a: Int[np.ndarray, " n"], size: int, b: Int[np.ndarray, " n"], other: int
) -> scipy.sparse.csr_array:
  """Count the frames that have each code of `a` and of `b`, [size, other]."""
  ones = np.ones(len(a), np.float32)
  return scipy.sparse.coo_array((ones, (a, b)), (size, other)).tocsr()


def _means(
  codes: Int[np.ndarray, " n"],
  others: Int[np.ndarray, " n"],
  rows: Float[np.ndarray, "w e"],
  size: int,
) -> Float[np.ndarray, "v e"]:
  """Return the mean row of the other codes in the frames of each code."""
  count = np.bincount(codes, minlength=size)[:, None]
  return _together(codes, size, others, len(rows)) @ rows / (count + _PRIOR)


def _fit_rows(
  ours: Codes, theirs: Others, known: Float[np.ndarray, "p w e"], size: int
) -> Float[np.ndarray, "q v e"]:
  """Fit rows of our codes, so that sums over levels are those of theirs."""
  q, p = ours.shape[1], theirs.shape[1]
  # Sums do not tell which level a constant belongs to, but where a level is
  # masked it matters: each has the mean of the same level of theirs.
  means = np.stack([x[c].mean(0) for x, c in zip(known, theirs.T)])  # [p, e]
  known = known - means[:, None]
  wanted = [
    sum(
      _together(ours[:, level], size, theirs[:, x], known.shape[1]) @ known[x]
      for x in range(p)
    )
    for level in range(q)
  ]
  counts = [np.bincount(x, minlength=size)[:, None] for x in ours.T]
  pairs = {
    (level, x): _together(ours[:, level], size, ours[:, x], size)
    for level, x in itertools.permutations(range(q), 2)
  }
  rows = np.zeros((q, size, known.shape[2]), np.float32)
  for _ in range(_ROUNDS):
    for level in range(q):
      others = sum(pairs[level, x] @ rows[x] for x in range(q) if x != level)
      rows[level] = (wanted[level] - others) / (counts[level] + _PRIOR)
  for level, mean in enumerate(means):
    rows[min(level, q - 1)] += mean
  return rows


def _explained(
  rows: Float[np.ndarray, "q v e"],
  ours: Codes,
  known: Float[np.ndarray, "p w e"],
  theirs: Others,
) -> float:
  """Return the share of the variance of summed embeddings that a fit has."""
  step = max(1, len(ours) // 10_000)  # frames are enough

  def sums(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    by_level = [x[c] for x, c in zip(rows, codes[::step].T)]
    return np.sum(by_level, axis=0)  # [n / step, e]

  wanted = sums(known, theirs)
  return float(1 - np.var(wanted - sums(rows, ours)) / np.var(wanted))
