"""The guide as a PyTorch model: the llama architecture, in the layout that llama.cpp computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN_SCALE = 4.0
"""How loud the mean of the words is beside the word itself, at the start of the training."""
FADING_PAIRS = slice(8, 22, 2)
"""First values of the rotary pairs 4 to 10 of a head: the sum of their cosines falls smoothly over sixty tokens."""


@dataclass(frozen=True)
class Shape:
    """The sizes of the model. Rows of 32 values make up a Q8_0 block: every width is a multiple of 32."""

    n_vocab: int
    n_layer: int = 12
    n_embd: int = 160
    n_head: int = 5
    n_ff: int = 384
    n_ctx_train: int = 2048
    rope_freq_base: float = 10000.0
    rms_eps: float = 1e-5

    @property
    def head_size(self) -> int:
        """Values per attention head."""
        return self.n_embd // self.n_head


class Attention(nn.Module):
    """Causal self-attention with rotary positions over neighbouring pairs (0, 1), (2, 3), …, as llama.cpp has."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_head = shape.n_head
        self.q = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.k = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.v = nn.Linear(shape.n_embd, shape.n_embd, bias=False)
        self.output = nn.Linear(shape.n_embd, shape.n_embd, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        """x [batch, time, n_embd] and the cosine and sine of every position [batch, 1, time, head_size / 2]."""
        heads = (part(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k, v = heads
        mixed = functional.scaled_dot_product_attention(rotate(q, rope), rotate(k, rope), v, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """One layer: attention and a gated feed-forward part, each behind its RMS norm."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(shape.n_embd, shape.rms_eps)
        self.attn = Attention(shape)
        self.ffn_norm = nn.RMSNorm(shape.n_embd, shape.rms_eps)
        self.gate = nn.Linear(shape.n_embd, shape.n_ff, bias=False)
        self.up = nn.Linear(shape.n_embd, shape.n_ff, bias=False)
        self.down = nn.Linear(shape.n_ff, shape.n_embd, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        """x [batch, time, n_embd] → the same shape."""
        x = x + self.dropout(self.attn(self.attn_norm(x), rope))
        normed = self.ffn_norm(x)
        return x + self.dropout(self.down(functional.silu(self.gate(normed)) * self.up(normed)))


class Guide(nn.Module):
    """The language model."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.n_vocab, shape.n_embd)
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.n_layer))
        self.output_norm = nn.RMSNorm(shape.n_embd, shape.rms_eps)
        self.output = nn.Linear(shape.n_embd, shape.n_vocab, bias=False)
        self.dropout = nn.Dropout(dropout)
        pairs = torch.arange(0, shape.head_size, 2) / shape.head_size
        self.register_buffer("frequencies", shape.rope_freq_base**-pairs, persistent=False)
        self._initialise()

    def hidden(self, tokens: Tensor, positions: Tensor, n_blocks: int | None = None) -> Tensor:
        """Token ids and positions [batch, time] → normed hidden states [batch, time, n_embd].

        With n_blocks only the first blocks compute: the others add nothing before they are trained.
        """
        angles = (positions[:, None, :, None] * self.frequencies).float()
        rope = angles.cos(), angles.sin()
        x = self.dropout(self.embedding(tokens))
        for block in self.blocks[:n_blocks]:
            x = block(x, rope)
        return self.output_norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [batch, time] → logits [batch, time, n_vocab]."""
        positions = torch.arange(tokens.shape[1]).expand_as(tokens)
        return self.output(self.hidden(tokens, positions))

    def set_dropout(self, share: float) -> None:
        """The share of values that training leaves out, everywhere."""
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = share

    def average_words(self) -> None:
        """Make the first layer add a mean of the words just read, and leave the others, for now, without effect.

        The mean fades with distance: half the weight ten tokens back, a fiftieth sixty back, so that the last question
        is heard above what stood before. It rests on one constant value in every embedding, by which all queries and
        keys point the same way, so that only the rotation by position tells them apart.
        """
        attention = self.blocks[0].attn
        with torch.no_grad():
            self.embedding.weight.normal_(std=0.3)
            self.embedding.weight[:, 0] = 0.3
            for weight in (attention.q.weight, attention.k.weight):
                weight.normal_(std=0.01)
                weight.unflatten(0, (self.shape.n_head, -1))[:, FADING_PAIRS, 0] = self.shape.head_size**0.25
            nn.init.orthogonal_(attention.v.weight)
            attention.output.weight.copy_(MEAN_SCALE * attention.v.weight.T)

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith(("attn.output.weight", "down.weight")):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn every pair of neighbouring values of x [batch, head, time, head_size] by the angle of its position."""
    cos, sin = rope
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
