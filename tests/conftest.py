"""Neither tests nor the programs that they start reach for the network or for many threads."""

import os
import tempfile

import pytest

os.environ["FLOWBENCH_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in processes
CACHE = tempfile.TemporaryDirectory(prefix="flowbench-cache-")
os.environ["FLOWBENCH_CACHE"] = CACHE.name  # of commands that read the data of a run
FIRST = ("docs", "cluster", "sweeps", "training", "run")  # they wait for other processes


def pytest_collection_modifyitems(config, items):
    """The longest files first, so that no worker is left with one at the end."""
    tests = config.rootpath / "tests"
    folders = [tests / name for name in FIRST]
    items.sort(key=lambda item: [folder not in item.path.parents for folder in folders])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file, or on the report, on one worker: what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            report = "tests/report/"
            return report if nodeid.startswith(report) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for the runs of a file."""
    return tmp_path_factory.mktemp("runs")
