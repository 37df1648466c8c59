"""Initial weights: random, but with heads that already copy.

The model's work is mostly copying names out of the prompt. Transformers learn that as a pair of layers: heads
that attend to the previous tokens, and induction heads that attend to the place where the last tokens
occurred before and copy what followed (Olsson et al. 2022). Learning them takes most of a short training, so
they are set in the random weights, and training refines them.

In the first layer a bias makes head n attend n tokens back: rotated by n positions, query and key agree. In
the second, queries and keys compare what such heads have written, in the dimensions with a rotary frequency
so low that distance does not matter; values and outputs copy the token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.network import Network, Shape

_EMBEDDING = 0.1  # standard deviation
_OTHER = 0.02
_LOOK = 6.5  # size of the biases for attending back; the weight of a neighbour is about e^-6
_MATCH = 1.9  # scale of queries and keys: a match then scores about 12
_COPY = 2.0  # a copied token's share of the output; the current token has 1
_SLOW = 0.005  # radians per token; a slower rotation counts as none


@torch.no_grad()
def set_initial_weights(network: Network, shape: Shape, seed: int) -> None:
    """Fill all parameters of a network with at least two layers of four heads."""
    drawn = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("norm.weight"):
            parameter.fill_(1.0)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            spread = _EMBEDDING if "embed" in name else _OTHER
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * spread)
    width, size = shape.hidden_size, shape.head_size
    back = [_orthogonal(width, drawn)[:size] for _ in range(3)]  # what look-back heads read of a token
    slots = _orthogonal(width, drawn)[: 3 * size].T.split(size, dim=1)  # where they write it
    layers: list[nn.Module] = list(network.model.layers)
    _look_back(layers[0], shape, back, list(slots))
    _induce(layers[1], shape, back, list(slots), drawn)


def _orthogonal(width: int, drawn: torch.Generator) -> Tensor:
    basis, _ = torch.linalg.qr(torch.randn((width, width), generator=drawn))
    result: Tensor = basis
    return result


def _look_back(layer: nn.Module, shape: Shape, back: list[Tensor], slots: list[Tensor]) -> None:
    size, half = shape.head_size, shape.head_size // 2
    frequencies = shape.rope_theta ** (-torch.arange(half) / half)
    fast = frequencies > 0.1
    attention = layer.self_attn
    for head, (reads, writes) in enumerate(zip(back, slots, strict=True)):
        rows = slice(head * size, (head + 1) * size)
        angle = -frequencies * (head + 1)
        attention.k_proj.bias[rows] = torch.cat((_LOOK * fast, 0.0 * fast))
        attention.q_proj.bias[rows] = torch.cat((_LOOK * fast * angle.cos(), _LOOK * fast * angle.sin()))
        attention.v_proj.weight[rows] = reads
        attention.o_proj.weight[:, rows] = _EMBEDDING * writes


def _induce(
    layer: nn.Module, shape: Shape, back: list[Tensor], slots: list[Tensor], drawn: torch.Generator
) -> None:
    size, half = shape.head_size, shape.head_size // 2
    frequencies = shape.rope_theta ** (-torch.arange(half) / half)
    slow = torch.nonzero(frequencies < _SLOW).flatten()
    attention = layer.self_attn
    tokens = _orthogonal(shape.hidden_size, drawn)
    for head in range(4):
        rows = slice(head * size, (head + 1) * size)
        attention.v_proj.weight[rows] = tokens[rows]
        attention.o_proj.weight[:, rows] = _COPY * _EMBEDDING * tokens[rows].T
        mixes = [_orthogonal(size, drawn)[: len(slow)] for _ in range(2)]
        # The token here must equal the one before the target position.
        pairs = [(back[0], slots[0].T), (back[0], slots[0].T)]
        if head >= 2:  # The token before it must equal the one before that.
            pairs[1] = (slots[0].T, slots[1].T)
        for offset, mix, (query, key) in zip((0, half), mixes, pairs, strict=True):
            lines = head * size + offset + slow
            attention.q_proj.weight[lines] = _MATCH * mix @ query
            attention.k_proj.weight[lines] = _MATCH * mix @ key
