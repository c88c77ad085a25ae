"""Agreement of our blocks with LLaMA's and Qwen3's in `transformers`."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
import torch

from stemgen_jax import model
from stemgen_jax.codec.without_torchaudio import importable_torchaudio
from stemgen_jax.model.transformer import _model

with importable_torchaudio():
  from transformers import LlamaConfig, Qwen3Config
  from transformers.models.llama import modeling_llama
  from transformers.models.qwen3 import modeling_qwen3

  LLAMA = modeling_llama.LlamaDecoderLayer, modeling_llama.LlamaRotaryEmbedding
  QWEN3 = modeling_qwen3.Qwen3DecoderLayer, modeling_qwen3.Qwen3RotaryEmbedding

CONFIG = model.ModelConfig(
  levels=2,
  codes=16,
  width=48,
  depth=3,
  heads=4,
  mlp=80,
  window=20,
  dtype="float32",
  remat="none",
)


def layers_of(config, params):
  """Return layers of `transformers` with our weights; Qwen3 has qk norms."""
  d, n = config.width, config.heads
  shape: dict[str, Any] = {
    "hidden_size": d,
    "intermediate_size": config.mlp,
    "num_attention_heads": n,
    "num_key_value_heads": n,
    "num_hidden_layers": config.depth,
    "head_dim": d // n,
    "rms_norm_eps": config.norm_epsilon,
    "rope_parameters": {
      "rope_type": "default",
      "rope_theta": config.rope_base,
    },
    "hidden_act": "silu",
    "attention_bias": False,
    "attn_implementation": "eager",
  }
  theirs: Any
  if config.qk_norm:
    theirs, (layer, rotary) = Qwen3Config(**shape), QWEN3
  else:
    theirs, (layer, rotary) = LlamaConfig(**shape), LLAMA
  layers = []
  for number in range(config.depth):
    ours = jax.tree.map(
      lambda x, number=number: torch.tensor(np.asarray(x[number])),
      params["blocks"],
    )
    weights = {
      "input_layernorm.weight": ours["attention_norm"]["scale"],
      "post_attention_layernorm.weight": ours["mlp_norm"]["scale"],
      "self_attn.o_proj.weight": ours["out"]["kernel"].reshape(d, d).T,
      "mlp.gate_proj.weight": ours["up"]["kernel"][:, 0].T,
      "mlp.up_proj.weight": ours["up"]["kernel"][:, 1].T,
      "mlp.down_proj.weight": ours["down"]["kernel"].T,
    }
    for name in ("query", "key", "value"):
      kernel = ours[name]["kernel"].reshape(d, d).T
      weights[f"self_attn.{name[0]}_proj.weight"] = kernel
      if config.qk_norm and name != "value":
        scale = ours[f"{name}_norm"]["scale"]
        weights[f"self_attn.{name[0]}_norm.weight"] = scale
    one = layer(theirs, number).eval()
    one.load_state_dict(weights)
    layers.append(one)
  return layers, rotary(theirs)


@pytest.mark.parametrize("qk_norm", [False, True])
def test_blocks_are_a_bidirectional_llama(qk_norm):
  config = dataclasses.replace(CONFIG, qk_norm=qk_norm)
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  # Norms start at 1, which would hide a missing one.
  rng = np.random.default_rng(0)
  params["blocks"] = jax.tree_util.tree_map_with_path(
    lambda path, x: (
      rng.uniform(0.5, 1.5, x.shape).astype(np.float32)
      if "scale" in jax.tree_util.keystr(path)
      else x
    ),
    params["blocks"],
  )
  b, t = 2, config.window
  context, target = jax.numpy.asarray(
    rng.integers(0, config.codes, (2, b, t, config.levels))
  )
  conditions = {"category": jax.numpy.array([1, 2])}

  @jax.jit
  def ours(params):
    embedded = _model(config, params).embedding(context, target, conditions)
    hidden = [
      _model(dataclasses.replace(config, attention=form), params).hidden(
        context, target, conditions
      )
      for form in ("map", "dot_product")
    ]
    return embedded, hidden

  embedded, hidden = ours(params)
  layers, rotary = layers_of(config, params)
  with torch.no_grad():
    x = torch.tensor(np.asarray(embedded))
    turn = rotary(x, torch.arange(t)[None])
    for layer in layers:
      # No mask at all: every frame attends to every frame.
      x = layer(x, attention_mask=None, position_embeddings=turn)
      x = x[0] if isinstance(x, tuple) else x
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + config.norm_epsilon)
  for out in hidden:
    np.testing.assert_allclose(out, x.numpy(), atol=1e-4)
