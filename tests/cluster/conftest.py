"""A real Slurm of two nodes, started for the tests in a temporary folder, and stopped."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from slurm_commands import output
from waiting import PATIENCE, wait_until

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Sets SLURM_CONF while the cluster runs."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs Slurm, as root: missing {', '.join(missing) or 'root'}")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool-node1", "spool-node2"):
        (folder / name).mkdir()
    first = free_port()
    text = Path(__file__).with_name("slurm.conf").read_text()
    text = text.replace("@DIR@", str(folder)).replace("@PORT@", str(free_port()))
    (folder / "slurm.conf").write_text(text.replace("@NODEPORTS@", f"{first}-{first + 1}"))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    processes = []
    try:
        files = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        words = [f"--{name}-file={files[name]}" for name in ("pid", "log", "seed")]
        words += [f"--socket={files['socket']}", f"--key-file={key}", "--num-threads=1", "--force"]
        for command in (
            ["munged", "--foreground", *words],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", "node1"],
            ["slurmd", "-D", "-N", "node2"],
        ):
            program = shutil.which(command[0], path=PATH)
            processes.append(
                subprocess.Popen(
                    [program, *command[1:]],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            if command[0] == "munged":
                wait_until(files["socket"].exists, what="munged to start")
        wait_until(
            lambda: output("sinfo", "-h", "-o", "%D", "-t", "idle") == "2",
            what="both nodes to be idle",
        )
        yield
    finally:
        output("scancel", "--user=root")
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:  # slurmd waits for what a cancelled job still does
                process.kill()
                process.wait()
        del os.environ["SLURM_CONF"]


PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
