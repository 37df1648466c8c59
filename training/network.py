"""The network in PyTorch, for training: Qwen2, with parameters named as in mlx-lm's `qwen2`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network, named as in config.json."""

    vocab_size: int = 2048
    hidden_size: int = 192
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    intermediate_size: int = 512
    rope_theta: float = 1e7
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 131072

    @property
    def head_size(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden_size // self.num_attention_heads

    def config(self, end_token: int) -> dict[str, Any]:
        """config.json, as mlx-lm and transformers read it."""
        return {
            "model_type": "qwen2",
            "architectures": ["Qwen2ForCausalLM"],
            **asdict(self),
            "tie_word_embeddings": True,
            "hidden_act": "silu",
            "eos_token_id": end_token,
        }


class Network(nn.Module):
    """Maps token ids of shape (rows, length) to hidden states of shape (rows, length, hidden)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = _Stack(shape)

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.model(ids)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the next token, by the tied embedding."""
        return hidden @ self.model.embed_tokens.weight.T


class _Stack(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        half = shape.head_size // 2
        self._frequencies = shape.rope_theta ** (-torch.arange(half) / half)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embed_tokens(ids)
        angles = torch.outer(torch.arange(ids.shape[1]), self._frequencies).to(hidden.device)
        turn = (angles.cos(), angles.sin())
        for layer in self.layers:
            hidden = layer(hidden, turn)
        normed: Tensor = self.norm(hidden)
        return normed


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = _Attention(shape)
        self.mlp = _FeedForward(shape)
        self.input_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden_size, eps=shape.rms_norm_eps)

    def forward(self, hidden: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), turn)
        added: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return added


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.hidden_size
        self._heads = shape.num_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, length, width = hidden.shape
        q, k, v = (
            projection(hidden).view(rows, length, self._heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(_turned(q, turn), _turned(k, turn), v, is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, length, width))
        return out


class _FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return out


def _turned(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions, halves rotated against each other (Su et al. 2021, in Llama's layout)."""
    cos, sin = turn
    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
