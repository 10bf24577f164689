"""Muon: momentum whose matrices are made orthogonal before they move the weights.

After Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", whose coefficients these are.
torch.optim.Muon iterates in bfloat16 whatever the machine: on a processor that must emulate it, 5.4 s of mini-pixart's
6.1 s a step. And it takes no convolution.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_LEAST = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for weights of two or more dimensions; a convolution's kernel is a matrix with a row for each output."""

    def __init__(self, weights: Sequence[nn.Parameter], *, lr: float, dtype: torch.dtype) -> None:
        super().__init__(weights, {"lr": lr, "momentum": 0.95, "weight_decay": 0.01})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight; the momenta of equal shape are orthogonalised together."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self._momentum(weight, group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
                alike.setdefault((ahead.shape[0], ahead.shape[1]), []).append((weight, ahead))
            for (rows, columns), members in alike.items():
                moves = orthogonal(torch.stack([ahead for _, ahead in members]).to(self._dtype))
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                for (weight, _), move in zip(members, moves, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(move.view_as(weight), alpha=-rate)

    def _momentum(self, weight: nn.Parameter, share: float) -> Tensor:
        state: dict[str, Any] = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"].lerp_(weight.grad, 1 - share)
        return momentum


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices (n, rows, columns) near one, by Newton and Schulz's iteration."""
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
