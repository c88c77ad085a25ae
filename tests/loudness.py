"""A codec of two levels that needs no weights."""

import numpy as np


class Loudness:
  """A codec of two levels: how loud a frame is, roughly and finely."""

  name = "loudness"
  sample_rate, channels, hop, frame_rate = 32_000, 1, 640, 50.0
  levels, codes_per_level = 2, 16
  checksum = "f" * 64

  def frames(self, samples):
    return -(-samples // self.hop)

  def encode(self, audio):
    loud = np.abs(audio).reshape(len(audio), -1, self.hop).mean(2)
    steps = (loud * 1000).astype(np.int32).clip(0, 255)
    return np.stack(np.divmod(steps, 16), axis=2)

  def decode(self, codes):
    raise NotImplementedError

  def codebooks(self):
    values = np.arange(16, dtype=np.float32)[:, None]
    return np.stack([16 * values, values])
