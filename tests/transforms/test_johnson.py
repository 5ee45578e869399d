"""Skewed and heavy-tailed features on a normal scale."""

import pytest
import torch

from flowbench.transforms import JohnsonSU

NORMAL = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RATIO = NORMAL / NORMAL.roll(1).square().add(NORMAL.roll(2).square()).div(2).sqrt()
COLUMNS = {
    "normal": (NORMAL, False),
    "uniform": (torch.special.ndtr(NORMAL), False),
    "lognormal": (NORMAL.exp(), True),
    "lognormal, mirrored and moved": (1000 - 30 * NORMAL.exp(), True),
    "heavy tails on both sides": (RATIO, True),
    "constant": (torch.full_like(NORMAL, 7), False),
}


def fitted(*columns, **options):
    transform = JohnsonSU(len(columns))
    transform.initialize(torch.stack(columns, 1), **options)
    return transform


def skewness(column):
    z = (column - column.mean()) / column.std()
    return z.pow(3).mean().abs().item()


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_far_from_normal_are_curved_and_others_stay(name):
    column, curved = COLUMNS[name]
    transform = fitted(column, NORMAL)
    assert transform.curved.tolist() == [curved, False]
    u, _ = transform.inverse(torch.stack([column, NORMAL], 1))
    if curved:
        assert skewness(u[:, 0]) < 0.2
        assert u[:, 0].std().item() == pytest.approx(1, abs=0.01)
    else:
        torch.testing.assert_close(u[:, 0], column)


def test_no_row_has_density_zero():
    transform = fitted(NORMAL.exp())
    u, log_det = transform.inverse(torch.tensor([[-1e6], [0.0], [1e12]]))
    assert u.isfinite().all()
    assert log_det.isfinite().all()


def test_a_weight_of_two_is_a_row_twice():
    column, twice = NORMAL[:400].exp(), NORMAL[:400] > 0
    weighted = fitted(column, weight=1.0 + twice)
    repeated = fitted(torch.cat([column, column[twice]]))
    x = torch.linspace(0.1, 5, 20).unsqueeze(-1)
    difference = weighted.inverse(x)[0] - repeated.inverse(x)[0]
    assert difference.abs().max() < 0.15  # places are quantiles of the rows that there are
