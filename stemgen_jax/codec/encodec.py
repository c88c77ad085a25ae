"""A codec over EnCodec's networks, and its files."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Int

from stemgen_jax import disk, recipes
from stemgen_jax.codec import backends, chunked
from stemgen_jax.codec import config as config_lib
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.protocol import Codes, NetworkFormat, Samples

if TYPE_CHECKING:
  from stemgen_jax.codec.networks import Network


class EncodecCodec(NetworkFormat):
  """A `codec.Codec` over a trained `Network`.

  Items of a batch are processed one by one: the last bits of PyTorch's results
  depend on the batch size. On a CPU a batch is a quarter faster at best
  (measured), and slower where the C library returns big buffers to the system.
  """

  def __init__(
    self,
    name: str,
    network: "Network",
    checksum: str,
    *,
    framing: Framing | None = None,
    zeros: bool = True,
    device: str = "cpu",
  ):
    """Make a codec from a trained network.

    Args:
      name: name of the codec.
      network: trained network.
      checksum: checksum of its weights.
      framing: framing; by default the network's hop without segments.
      zeros: complete the last frame with zeros, as in training here; the
        published codecs leave it to the padding of their layers.
      device: PyTorch device that the network is moved to.
    """
    framing = framing or Framing(hop=network.config.hop)
    super().__init__(name, network.config, checksum, framing, device)
    with self._computing():
      self._network = network.eval().to(device)
    self._zeros = zeros

  def encode(self, audio: Samples) -> Codes:
    """See `codec.Codec.encode`."""
    self._check_audio(audio)
    b, samples, _ = audio.shape
    codes = np.empty((b, self.frames(samples), self.levels), np.int32)
    if samples:  # The networks take no empty input.
      for item, item_codes in zip(audio, codes):
        item_codes[:] = self._encode(tensor(item)).numpy()
    return codes

  def decode(self, codes: Codes) -> Samples:
    """See `codec.Codec.decode`."""
    self._check_codes(codes)
    b, t, _ = codes.shape
    audio = np.empty((b, self.framing.samples(t), self.channels), np.float32)
    if t:
      for item_codes, item in zip(codes, audio):
        item[:] = self._decode(torch.from_numpy(item_codes).long()).T.numpy()
    return audio

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """See `codec.Codec.codebooks`."""
    return np.stack([book.cpu().numpy() for book in self._network.books()])

  def _encode(self, audio: Float[torch.Tensor, "c n"]) -> torch.Tensor:
    if self._zeros:
      missing = -audio.shape[1] % self.hop
      audio = torch.nn.functional.pad(audio, (0, missing))
    with self._computing():
      return chunked.encode(self._network, audio.to(self.device)).cpu()

  def _decode(self, codes: Int[torch.Tensor, "t q"]) -> torch.Tensor:
    with self._computing():
      return chunked.decode(self._network, codes.to(self.device)).cpu()

  @contextlib.contextmanager
  def _computing(self) -> Iterator[None]:
    """Compute on a GPU in float32, deterministically; report a full one."""
    if self.device == "cpu":
      yield
      return
    try:
      # Convolutions would round their inputs to TF32, 10 bits, and many codes
      # would differ from those of a CPU.
      with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
      ):
        yield
    except torch.OutOfMemoryError as error:
      raise ValueError(
        f"codec {self.name!r}: too little memory on {self.device}; give "
        "--codec_device=cpu, fewer --workers, or JAX a smaller "
        "XLA_PYTHON_CLIENT_MEM_FRACTION"
      ) from error

  def _check_audio(self, audio: np.ndarray) -> None:
    if audio.ndim != 3 or audio.shape[2] != self.channels:
      raise ValueError(
        f"audio has shape {audio.shape}: codec {self.name!r} expects"
        f" [batch, samples, {self.channels}]"
      )
    if not np.issubdtype(audio.dtype, np.floating):
      raise ValueError(
        f"audio is {audio.dtype}: expected floating point, full scale 1"
      )
    if not np.isfinite(audio).all():
      raise ValueError("audio has NaN or infinite samples: expected finite")

  def _check_codes(self, codes: np.ndarray) -> None:
    if codes.ndim != 3 or codes.shape[2] != self.levels:
      raise ValueError(
        f"codes have shape {codes.shape}: codec {self.name!r} expects"
        f" [batch, frames, {self.levels}]"
      )
    if not np.issubdtype(codes.dtype, np.integer):
      raise ValueError(f"codes are {codes.dtype}: expected integers")
    last = self.codes_per_level - 1
    if codes.size and not 0 <= codes.min() <= codes.max() <= last:
      raise ValueError(
        f"code ids {codes.min()}..{codes.max()}: expected 0..{last}"
      )


def tensor(audio: Float[np.ndarray, "n c"]) -> Float[torch.Tensor, "c n"]:
  """Return audio in the layout of the networks, float32."""
  return torch.from_numpy(np.ascontiguousarray(audio.T, np.float32))


def save(
  path: pathlib.Path, name: str, network: "Network", metadata: dict
) -> str:
  """Write PATH.safetensors and PATH.json; return the weights' checksum."""
  tensors = {k: v.contiguous() for k, v in network.state_dict().items()}
  data = safetensors.torch.save(tensors)
  config = dataclasses.asdict(network.config)
  description = {"name": name, "config": config, "metadata": metadata}
  return recipes.write_sealed(path, data, description)


def load(
  path: pathlib.Path,
  checksum: str,
  device: str = "cpu",
  backend: str = "auto",
) -> EncodecCodec:
  """Load what `save` wrote; errors as in `codec.load`.

  Args:
    path: file of the weights.
    checksum: its checksum.
    device: PyTorch device of the network.
    backend: implementation of the network, see `backends`.
  """
  name, config = config_lib.read(path, checksum)
  tensors = disk.read_tensors(path, "export it again", "pt")
  try:
    # Nothing is allocated until the description is known to fit the file.
    with torch.device("meta"):
      expected = backends.make(config, backend).state_dict()
    for key, tensor in expected.items():
      if key in tensors and tensors[key].shape != tensor.shape:
        raise RuntimeError(
          f"{key} has shape {list(tensors[key].shape)}, expected "
          f"{list(tensor.shape)}"
        )
    network = backends.make(config, backend)
    network.load_state_dict(tensors)
  except RuntimeError as error:  # other names or shapes
    raise ValueError(f"{path} is corrupt: {error}; export it again") from error
  return EncodecCodec(name, network, checksum, device=device)
