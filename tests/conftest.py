"""No test reaches for the network, and neither do the programs that tests start."""

import os

import pytest

os.environ["FLOWBENCH_OFFLINE"] = "1"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file on one worker: what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)
