"""Sweeps in this process: nothing is imported again for them."""

from types import SimpleNamespace

import pytest
from sweep_commands import arguments

from flowbench.run import main


@pytest.fixture
def sweep(monkeypatch, capsys):
    """Run the command here; its exit code and output, as `subprocess.run` has them."""

    def sweep(output, *overrides):
        monkeypatch.setattr("sys.argv", ["train.py", *arguments(output, *overrides)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        capsys.readouterr()
        code, error = 0, ""
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
            error = "" if isinstance(stop.code, int) else f"{stop.code}\n"
        told = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=told.out, stderr=told.err + error)

    return sweep
