"""Interpolation by matrices against PyTorch's own."""

import numpy as np
import pytest

from runtime.inputs.interpolation import interpolation_matrix, interpolation_places

torch = pytest.importorskip("torch", reason="needs the extra 'export'")


@pytest.mark.parametrize(("targets", "sources"), [(1, 8), (2, 8), (3, 8), (4, 8), (8, 8), (9, 24)])
def test_linear(targets, sources):
    values = torch.randn(1, 1, sources, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate(values, targets, mode="linear", align_corners=False)
    ours = interpolation_matrix(targets, sources) @ values[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=5e-6)


@pytest.mark.parametrize(("targets", "sources"), [(64, 252), (384, 252), (384, 384), (64, 40)])
def test_places_and_shares_give_what_pytorch_gives(targets, sources):
    values = torch.randn(1, 1, sources, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate(values, targets, mode="linear", align_corners=False)
    (below, above), shares = interpolation_places(targets, sources)
    values = values[0, 0].numpy()
    ours = values[below] + (values[above] - values[below]) * shares
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), rtol=0, atol=5e-5)


def test_one_of_eight_is_the_mean_of_the_two_in_the_middle():
    assert interpolation_matrix(1, 8).tolist() == [[0, 0, 0, 0.5, 0.5, 0, 0, 0]]
