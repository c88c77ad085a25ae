"""EnCodec's networks by transformers, under the names of the other backend."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from stemgen_jax.codec.config import NetworkConfig
from stemgen_jax.codec.without_torchaudio import importable_torchaudio

with importable_torchaudio():
  from transformers.models.encodec import modeling_encodec as theirs
  from transformers.models.encodec.configuration_encodec import EncodecConfig


class Network(nn.Module):
  """EnCodec's encoder, quantizer and decoder; as `networks.Network`."""

  def __init__(self, config: NetworkConfig):
    super().__init__()
    self.config = config
    grouped = config.norm == "time_group_norm"
    shape = EncodecConfig(
      sampling_rate=config.sample_rate,
      audio_channels=config.channels,
      hidden_size=config.latent,
      num_filters=config.filters,
      upsampling_ratios=list(config.ratios),
      norm_type="time_group_norm" if grouped else "weight_norm",
      pad_mode=config.pad_mode,
      use_causal_conv=config.causal,
      use_conv_shortcut=config.conv_skip,
      num_lstm_layers=config.lstm or 1,  # removed below
      codebook_size=config.codes_per_level,
    )
    self.encoder = _Layers(theirs.EncodecEncoder(shape), config)
    self.decoder = _Layers(theirs.EncodecDecoder(shape), config)
    vq = theirs.EncodecResidualVectorQuantizer(shape)
    # Its configuration states a number of levels as a bandwidth.
    vq.num_quantizers = config.levels
    vq.layers = nn.ModuleList(
      theirs.EncodecVectorQuantization(shape) for _ in range(config.levels)
    )
    self.quantizer = nn.ModuleDict({"vq": vq})
    for module in list(self.modules()):
      if parametrize.is_parametrized(module, "weight"):
        parametrize.remove_parametrizations(module, "weight")

  def quantize(self, latents: Tensor) -> Tensor:
    """Return the codes [q, b, t] of latents [b, d, t]."""
    return self.quantizer["vq"].encode(latents)  # type: ignore

  def dequantize(self, codes: Tensor) -> Tensor:
    """Return the latents [b, d, t] of codes [q, b, t]."""
    return self.quantizer["vq"].decode(codes)  # type: ignore

  def books(self) -> list[Tensor]:
    """Return the codebook [v, d] of every level."""
    layers: Any = self.quantizer["vq"].layers
    return [layer.codebook.embed for layer in layers]

  def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return tensors by the names of the other backend."""
    state = super().state_dict(*args, **kwargs)
    return {self._name(key): tensor for key, tensor in state.items()}

  def load_state_dict(
    self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any
  ) -> Any:
    """Load what `state_dict` returns."""
    names = {self._name(key): key for key in super().state_dict()}
    # Unknown names stay as they are: PyTorch reports them.
    renamed = {names.get(key, key): x for key, x in state_dict.items()}
    return super().load_state_dict(renamed, *args, **kwargs)

  def _name(self, key: str) -> str:
    if ".codebook." in key:
      return key.replace(".codebook.", "._codebook.")
    layer, part, leaf = key.rsplit(".", 2)
    kinds = {
      theirs.EncodecConv1d: "conv",
      theirs.EncodecConvTranspose1d: "convtr",
    }
    kind = kinds.get(type(self.get_submodule(layer)))
    if kind is None:  # of an LSTM
      return key
    return f"{layer}.{kind}.{kind if part == 'conv' else part}.{leaf}"


class _Layers(nn.Module):
  """The layers of an encoder or decoder, which `chunked` calls in parts."""

  def __init__(self, network: Any, config: NetworkConfig):
    super().__init__()
    self.model = nn.Sequential(
      *(
        layer
        for layer in network.layers
        if config.lstm or not isinstance(layer, theirs.EncodecLSTM)
      )
    )

  def forward(self, x: Tensor) -> Tensor:
    return self.model(x)
