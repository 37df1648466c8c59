"""Muon in single precision, with matrices of one shape updated together: fast enough on a CPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_POLYNOMIAL = (3.4445, -4.775, 2.0315)  # drives all singular values towards 1 within five rounds
_ROUNDS = 5
_ADAM_SIZE = 0.2  # root mean square of an update in units of the rate, as AdamW's usually are


class Muon(torch.optim.Optimizer):
    """Momentum whose updates are orthogonalized by Newton-Schulz steps (Jordan et al. 2024).

    The size of an update equals AdamW's, so that both use the same learning rate (Liu et al. 2025).
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update all matrices; a closure is not supported."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                alike[matrix.shape].append(matrix)
            for shape, matrices in alike.items():
                moving = torch.stack([self._momentum(matrix) for matrix in matrices])
                size = _ADAM_SIZE * max(shape) ** 0.5
                for matrix, update in zip(matrices, orthogonal(moving), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * size)

    def _momentum(self, matrix: nn.Parameter) -> Tensor:
        held = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
        assert matrix.grad is not None
        held.lerp_(matrix.grad, 1 - _MOMENTUM)
        looking_ahead: Tensor = torch.lerp(matrix.grad, held, _MOMENTUM)
        return looking_ahead


def orthogonal(matrices: Tensor) -> Tensor:
    """The orthogonal matrices nearest to `matrices`, of shape (count, rows, columns), approximately."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ROUNDS):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(1, 2) if tall else x
