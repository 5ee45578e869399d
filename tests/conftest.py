"""No test reaches for the network, and neither do the programs that tests start."""

import os

import pytest

os.environ["FLOWBENCH_OFFLINE"] = "1"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file, or on the report, on one worker: what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            report = "tests/report/"
            return report if nodeid.startswith(report) else super()._split_scope(nodeid)

    return Scheduling(config, log)
