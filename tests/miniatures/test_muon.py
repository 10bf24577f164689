"""Muon's step against its definition by a singular value decomposition, and against torch's own."""

import torch
from torch import nn

from miniatures.muon import Muon, orthogonal


def test_singular_values_come_near_one() -> None:
    generator = torch.Generator().manual_seed(1)
    for shape in ((3, 20, 50), (3, 50, 20), (1, 30, 30)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=generator)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_the_directions_are_kept() -> None:
    matrix = torch.randn((1, 20, 50), generator=torch.Generator().manual_seed(2))
    left, _, right = torch.linalg.svd(matrix[0], full_matrices=False)
    among = left.T @ orthogonal(matrix)[0] @ right.T
    assert (among - among.diag().diag()).abs().max() < 1e-4


def test_it_moves_as_torchs_own_and_a_convolution_as_its_matrix() -> None:
    generator = torch.Generator().manual_seed(3)
    start, grads = torch.randn((24, 54), generator=generator), torch.randn((4, 24, 54), generator=generator)
    flat, kernel, theirs = (nn.Parameter(start.clone().reshape(shape)) for shape in ((24, 54), (24, 6, 3, 3), (24, 54)))
    ours = Muon([flat, kernel], lr=0.02, dtype=torch.float32)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.01)
    for grad in grads:
        flat.grad, kernel.grad, theirs.grad = grad, grad.reshape(kernel.shape), grad
        ours.step()
        reference.step()  # type: ignore[no-untyped-call]
    assert torch.equal(flat, kernel.flatten(1))
    assert (flat - theirs).abs().max() < 1e-3  # theirs iterates in bfloat16
    assert (flat - start).abs().max() > 1e-2
