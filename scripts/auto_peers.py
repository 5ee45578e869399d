"""The densities that model=auto is compared with, on the rows of a data module."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from flowbench.data import DataModule

__all__ = ["PEERS"]

COMPONENTS = (1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64)
BANDWIDTHS = np.logspace(-1.7, 0.3, 21)
SEARCHED_ROWS, KERNEL_ROWS = 5_000, 20_000
PATIENCE = 30

Scored = tuple[NDArray[np.float64], str]  # log-likelihoods of test rows, and what was chosen


def gaussian_mixture(data: DataModule, minutes: float) -> Scored:
    """Scikit-learn's mixture of Gaussians, components by BIC, fitted to all rows but test rows."""
    rows, ends = _known(data), time.monotonic() + 60 * minutes
    numbers = rows.shape[1] * (rows.shape[1] + 3) // 2
    best: tuple[float, Any] = (np.inf, None)
    for components in COMPONENTS:
        if components > 1 and (components * numbers > len(rows) or time.monotonic() > ends):
            break
        one = GaussianMixture(components, random_state=0).fit(rows)
        best = min(best, (one.bic(rows), one), key=lambda pair: pair[0])
    return best[1].score_samples(_rows(data, "test")), f"{best[1].n_components} components"


def kernel_density(data: DataModule, minutes: float) -> Scored:
    """Scikit-learn's kernel density, bandwidth by cross-validation, of all rows but test rows."""
    del minutes
    rows = np.random.default_rng(0).permutation(_known(data))
    search = GridSearchCV(KernelDensity(), {"bandwidth": BANDWIDTHS}, cv=5)
    search.fit(rows[:SEARCHED_ROWS])
    width = search.best_params_["bandwidth"]
    found = KernelDensity(bandwidth=width).fit(rows[:KERNEL_ROWS])
    return found.score_samples(_rows(data, "test")), f"bandwidth {width:.2g}"


def zuko_spline(data: DataModule, minutes: float) -> Scored:
    """A neural spline flow of zuko with its defaults; validation rows stop its training."""
    import zuko  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    train, val = data.rows["train"].x, data.rows["val"].x
    flow = zuko.flows.NSF(data.features)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    size, ends = 128 if len(train) < 50_000 else 512, time.monotonic() + 60 * minutes
    best: tuple[float, dict[str, Any]] = (-np.inf, copy.deepcopy(flow.state_dict()))
    epoch = last = 0
    while epoch - last < PATIENCE and time.monotonic() < ends:
        epoch += 1
        for batch in torch.randperm(len(train)).split(size):
            if time.monotonic() > ends:
                break
            loss = -flow().log_prob(train[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = _scores(flow, val).mean()
        if score > best[0]:
            best, last = (score, copy.deepcopy(flow.state_dict())), epoch
    flow.load_state_dict(best[1])
    return _scores(flow, data.rows["test"].x), f"{last} epochs"


@torch.no_grad()
def _scores(flow: Any, rows: torch.Tensor) -> NDArray[np.float64]:
    return torch.cat([flow().log_prob(part) for part in rows.split(4096)]).double().numpy()


def _rows(data: DataModule, split: str) -> NDArray[np.float64]:
    return data.rows[split].x.double().numpy()


def _known(data: DataModule) -> NDArray[np.float64]:
    return np.concatenate([_rows(data, "train"), _rows(data, "val")])


PEERS: Mapping[str, Callable[[DataModule, float], Scored]] = {
    "GaussianMixture": gaussian_mixture,
    "KernelDensity": kernel_density,
    "zuko NSF": zuko_spline,
}
