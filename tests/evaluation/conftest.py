"""Runs whose scores are looked at are trained without figures."""

import pytest

from flowbench.figures import figures


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FIGURES", {})
        yield
