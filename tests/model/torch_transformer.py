"""The model in plain PyTorch: a reference for values and for speed.

`launch/benchmark.py model` compares our speed with it. It takes our
configuration and our weights; nothing here imports jax.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stemgen_jax.model.config import CONDITION_SIZES, ModelConfig


class Norm(nn.Module):
  """RMSNorm with a scale, in the dtype of its input."""

  def __init__(self, size: int, epsilon: float):
    super().__init__()
    self.scale, self.epsilon = nn.Parameter(torch.ones(size)), epsilon

  def forward(self, x: Tensor) -> Tensor:
    # Without the cast, bfloat16 activations would become float32.
    return F.rms_norm(x, x.shape[-1:], self.scale.to(x.dtype), self.epsilon)


class Block(nn.Module):
  def __init__(self, config: ModelConfig):
    super().__init__()
    d, self.heads = config.width, config.heads
    self.attention_norm = Norm(d, config.norm_epsilon)
    self.qkv = nn.Linear(d, 3 * d, bias=False)
    self.qk_norm = config.qk_norm
    if config.qk_norm:
      self.query_norm = Norm(d // config.heads, config.norm_epsilon)
      self.key_norm = Norm(d // config.heads, config.norm_epsilon)
    self.out = nn.Linear(d, d, bias=False)
    self.mlp_norm = Norm(d, config.norm_epsilon)
    self.up = nn.Linear(d, 2 * config.mlp, bias=False)
    self.down = nn.Linear(config.mlp, d, bias=False)

  def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    # [b, t, 3 * d] to three of [b, n, t, h]
    y = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
    queries, keys, values = y.permute(2, 0, 3, 1, 4)
    if self.qk_norm:
      queries, keys = self.query_norm(queries), self.key_norm(keys)
    attended = F.scaled_dot_product_attention(
      rotate(queries, cos, sin), rotate(keys, cos, sin), values
    )
    x = x + self.out(attended.transpose(1, 2).flatten(2))
    gate, value = self.up(self.mlp_norm(x)).chunk(2, -1)
    return x + self.down(F.silu(gate) * value)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
  a, b = x.chunk(2, -1)
  cos, sin = cos.to(x.dtype), sin.to(x.dtype)
  return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Transformer(nn.Module):
  """The model with random weights of about the initial scale."""

  books: Tensor
  cos: Tensor
  sin: Tensor

  def __init__(self, config: ModelConfig):
    super().__init__()
    self.config = config
    q, v, d = config.levels, config.codes, config.width

    def normal(*shape: int, scale: float) -> nn.Parameter:
      return nn.Parameter(scale * torch.randn(shape))

    self.table = normal(q, v, d // 2, scale=q**-0.5)
    if config.embedding == "codebook":
      self.register_buffer("books", torch.randn(q, v, config.latent))
      self.projection = normal(
        q, config.latent, d // 2, scale=config.latent**-0.5
      )
    self.mask = normal(q, 1, d // 2, scale=q**-0.5)
    self.null_context = normal(d // 2, scale=q**-0.5)
    self.conditions = nn.ParameterDict(
      {
        name: normal(CONDITION_SIZES[name] + 1, d // 2, scale=q**-0.5)
        for name in config.conditions
      }
    )
    self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
    self.norm = Norm(d, config.norm_epsilon)
    self.head = normal(q, d, v, scale=0.1 * d**-0.5)
    size = d // config.heads
    wavelengths = config.rope_base ** -(torch.arange(0, size, 2) / size)
    angle = torch.arange(config.window)[:, None] * wavelengths  # [t, h / 2]
    self.register_buffer("cos", angle.cos())
    self.register_buffer("sin", angle.sin())

  def embed(
    self,
    context: Tensor,
    target: Tensor,
    conditions: dict[str, Tensor],
    drop_context: Tensor,
  ) -> Tensor:
    b, t, q = target.shape
    rows = self.table
    if self.config.embedding == "codebook":
      books = self.books - self.books.mean(1, keepdim=True)
      power = books.square().mean((1, 2)).sum()
      rows = rows + books * torch.rsqrt(power + 1e-12) @ self.projection
    rows = torch.cat([rows, self.mask], 1)  # [q, v + 1, d/2]
    first = torch.arange(q) * rows.shape[1]  # of each level

    def channel(codes: Tensor) -> Tensor:
      summed = F.embedding_bag(
        (codes + first).flatten(0, 1), rows.flatten(0, 1), mode="sum"
      )
      return summed.unflatten(0, (b, t))  # [b, t, d/2]

    encoded = torch.where(
      drop_context[:, None, None], self.null_context, channel(context)
    )
    both = torch.stack([encoded, channel(target)], 2)  # [b, t, 2, d/2]
    for name, table in self.conditions.items():
      both = both + table[conditions[name]][:, None, None]
    return both.flatten(2)

  def forward(
    self,
    context: Tensor,
    target: Tensor,
    conditions: dict[str, Tensor],
    level: Tensor,
    drop_context: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
  ) -> Tensor:
    """Return logits [b, t, v]; `level` is a scalar or one per example."""
    x = self.embed(context, target, conditions, drop_context).to(dtype)
    cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
    for block in self.blocks:
      x = block(x, cos, sin)
    return (self.norm(x) @ self.head[level].to(dtype)).float()


def loss(
  logits: Tensor, target: Tensor, masked: Tensor, level: Tensor
) -> Tensor:
  """Return the mean cross-entropy of the masked tokens, in nats."""
  # The active level's codes, [b, t].
  codes = target.gather(2, level[:, None, None].expand(*masked.shape, 1))
  codes = torch.where(masked, codes[..., 0], -100)
  total = F.cross_entropy(
    logits.flatten(0, 1), codes.flatten(), reduction="sum", ignore_index=-100
  )
  return total / masked.sum()


def in_our_layout(
  model: Transformer, of: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
  """Return views of the parameters, or their gradients, in our layout.

  Args:
    model: the model.
    of: tensor to return for a parameter, of its shape.

  Returns:
    Tensors by the path of our parameter; those of a block by its number too,
    as in "blocks/query/kernel/0".
  """
  n = model.config.heads
  views = {
    "embedding/table": of(model.table),
    "embedding/mask": of(model.mask),
    "embedding/null_context": of(model.null_context),
    "norm/scale": of(model.norm.scale),
    "head": of(model.head),
  }
  if model.config.embedding == "codebook":
    views["embedding/projection"] = of(model.projection)
  for name, table in model.conditions.items():
    views[f"embedding/conditions/{name}"] = of(table)
  for number, block in enumerate(model.blocks):
    assert isinstance(block, Block)
    # nn.Linear has [out, in]; our kernels have their inputs first.
    qkv = of(block.qkv.weight).unflatten(0, (3, n, -1))  # [3, n, h, d]
    query, key, value = qkv.permute(0, 3, 1, 2)
    kernels = {
      "query": query,
      "key": key,
      "value": value,
      "out": of(block.out.weight).T.unflatten(0, (n, -1)),
      "up": of(block.up.weight).T.unflatten(1, (2, -1)),
      "down": of(block.down.weight).T,
    }
    for name, kernel in kernels.items():
      views[f"blocks/{name}/kernel/{number}"] = kernel
    for name, module in block.named_children():
      if isinstance(module, Norm):
        views[f"blocks/{name}/scale/{number}"] = of(module.scale)
  return views
