"""The page of the benchmark: one order of rows, and what was not measured."""

import json

import pytest
from run_commands import SCRIPTS, script

ROWS = [  # task, work, name and number of the size, peer
    ("sample", "W1", "rows", 10_000, "zuko"),
    ("train", "W4", "batch", 100, "zuko"),
    ("train", "W1", "batch", 1024, "zuko"),
    ("train", "W1", "batch", 100, "flowjax"),
    ("train", "W1", "batch", 100, "zuko"),
    ("something new", "W1", "rows", 7, None),
]


@pytest.fixture
def page(tmp_path, monkeypatch, capsys):
    """The page of files with some rows each."""
    monkeypatch.syspath_prepend(SCRIPTS)

    def page(*files, words=()):
        paths = [tmp_path / f"{number}.json" for number in range(len(files))]
        for path, rows in zip(paths, files, strict=True):
            path.write_text(json.dumps([row_of(*row) for row in rows]))
        monkeypatch.setattr("sys.argv", ["benchmark_page.py", *map(str, paths), *words])
        script("benchmark_page")()
        return capsys.readouterr().out

    return page


def row_of(task, work, name, size, peer, ours=1.0):
    row = {"task": task, "work": work, name: size, "peer": peer, "ours_ms": ours, "device": "x"}
    ratio = {"ratio": 2.0, "ratio_quartiles": [1.9, 2.1], "peer_ms": 2.0}
    return row | (ratio if peer else dict.fromkeys(ratio)) | {"versions": {"torch": "2"}}


def cells(text):
    lines = [line.strip("| ").split(" | ")[:3] for line in text.splitlines() if line[:3] == "| W"]
    return [tuple(line) for line in lines]


def test_rows_stand_in_one_order_whatever_that_of_the_files(page):
    first, second = page(ROWS), page(ROWS[3:], ROWS[:3][::-1])
    assert first == second
    assert [line for line in first.splitlines() if line[:3] == "###"] == [
        "### train", "### sample", "### something new",
    ]  # fmt: skip
    assert cells(first) == [
        ("W1", "100", "zuko"), ("W1", "100", "flowjax"), ("W1", "1,024", "zuko"),
        ("W4", "100", "zuko"), ("W1", "10,000", "zuko"), ("W1", "7", "–"),
    ]  # fmt: skip


def test_of_a_row_measured_twice_the_later_is_kept(page):
    earlier, later = ROWS[0], (*ROWS[0], 5.0)
    text = page([earlier], [later])
    assert len(cells(text)) == 1
    assert "| 5.00 |" in text


def test_what_was_not_measured_is_said(page, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmark_wanted import wanted

    text = page(ROWS, words=["--complete"])
    [line] = [line for line in text.splitlines() if line.startswith("Not measured: ")]
    assert "train W1 100 beside nflows;" in line
    assert "train W1 100 beside zuko" not in line
    assert "train W7 100 beside zuko" not in line  # which has no batch norms
    assert len(line.split("; ")) == len(wanted()) - 5
    names = [(task, work, "rows", size, peer) for task, work, size, peer in wanted()]
    assert "Everything was measured." in page(names, words=["--complete"])
