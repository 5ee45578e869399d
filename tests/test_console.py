"""What commands print where nothing can be printed, and how they warn."""

import os
import subprocess
import sys
import warnings

import pytest

from flowbench.console import in_console, say, show_warning

PROGRAM = """
from flowbench.console import in_console, say
@in_console
def main():
    {print}("done" * 5000)
main()
"""


def call(print_, *, stdout=subprocess.DEVNULL, **options):
    words = [sys.executable, "-c", PROGRAM.format(print=print_)]
    return subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("print_", ["print", "say"])
def test_a_full_device_is_one_sentence(print_):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        done = call(print_, stdout=full)
    assert done.returncode == 1
    assert "standard output: No space left on device" in done.stderr
    assert "ignored" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_pipe_is_one_sentence():
    reader, writer = os.pipe()
    os.close(reader)
    done = call("print", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "standard output: Broken pipe\n")


def test_a_working_directory_that_was_deleted_is_one_sentence(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit, match="the working directory no longer exists"):
        in_console(lambda: None)()


def test_warnings_are_sentences(capsys):
    @in_console
    def main():
        warnings.warn_explicit(
            "of columns:\n  a  few values", UserWarning, show_warning.__code__.co_filename, 7
        )
        warnings.warn_explicit("look\n here", RuntimeWarning, "/x/numpy/core.py", 7)
        warnings.warn_explicit("soon", FutureWarning, "/x/torch/a.py", 7)
        warnings.warn_explicit("workers", UserWarning, "/x/pytorch_lightning/trainer/a.py", 7)
        say("done")

    main()
    told = capsys.readouterr()
    assert told.out == "done\n"
    assert told.err == "warning: of columns:\n  a  few values\nwarning: look here (numpy)\n"


@pytest.mark.parametrize(("encoding", "written"), [("ascii", "-4 +- 1"), ("latin-1", "-4 \xb1 1")])
def test_characters_that_an_encoding_lacks_are_written_plainly(encoding, written):
    program = PROGRAM.replace('"done" * 5000', "'\u22124 \u00b1 1'").format(print="say")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, check=True
    )
    assert done.stdout.decode(encoding).strip() == written
