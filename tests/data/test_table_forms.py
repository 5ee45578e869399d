"""Tables as people write them: each is read, or refused with the options that read it."""

import bz2
import gzip
import lzma
import re
import shlex
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tables import all_rows, open_table

from flowbench.config.overrides import override
from flowbench.data import DataError

X = np.random.default_rng(0).normal(size=(60, 2)).round(4)
OPTION = re.compile(r"\"data\.\w+=[^\"]*\"|'data\.\w+=[^']*'|data\.\w+=(?:\[[^\]]*\]|[^\s;,\[]+)")


def lines(*columns, header="a,b", form="{},{}"):
    columns = columns or X.T.tolist()
    return "\n".join([header, *(form.format(*row) for row in zip(*columns, strict=True))]) + "\n"


def advised(message):
    """The options in a message, as Hydra reads them from the shell."""
    found = {}
    for text in OPTION.findall(message.partition(", or ")[0]):
        if "..." not in text:
            one = OverridesParser.create().parse_override(*shlex.split(text))
            found[one.key_or_group.removeprefix("data.")] = one.value()
    return found


def open_as_advised(path, **options):
    """Open a table with the options that its refusals name."""
    while True:
        try:
            return open_table(path, **options), options
        except DataError as error:
            found = advised(str(error))
            if "\n" in str(error) or found.items() <= options.items():
                raise
            options |= found


A, B = X.T.tolist()
ODD = "cost (in $)"
CITY = ["Ulm", "Aix", "Bern"] * 20
FORMS = {  # text, the options that its refusal names, the columns that are modelled then
    "semicolons": (
        lines(header="a;b", form="{};{}").replace(".", ","),
        {"separator": "semicolon", "decimal": "comma"},
        "ab",
    ),
    "tabs": (lines(header="a\tb", form="{}\t{}"), {"separator": "tab"}, "ab"),
    "pipes": (lines(header="a|b", form="{}|{}"), {"separator": "pipe"}, "ab"),
    "blanks": (lines(header="  a   b", form=" {}\t  {} "), {"separator": "whitespace"}, "ab"),
    "decimal commas": (lines(form='"{}","{}"').replace(".", ","), {"decimal": "comma"}, "ab"),
    "no header": (lines(header="1.5,2.5"), {"header": "none"}, "01"),
    "titles": ("Prices\n\nof 2020\n" + lines(), {"skip_lines": 3}, "ab"),
    "units": (lines(["kg", *A], ["m", *B]), {"missing": ["kg", "m"]}, "ab"),
    "row names": (
        lines(CITY, A, B, form="{},{},{}"),
        {"skip_lines": 1, "header": "none", "columns": [1, 2]},
        "12",
    ),
    "ragged": (
        lines([*A, 1], [*B, "2,9"]),
        {"skip_lines": [62]},
        "ab",
    ),
    "question marks": (lines(["?", *A], [*B, "?"]), {"missing": ["?"]}, "ab"),
    "missing": (lines(["NA", *A], [*B, ""]), {"missing": "drop"}, "ab"),
    "mostly missing": (lines(A, [B[0], *[""] * 59]), {"columns": ["a"]}, "a"),
    "infinite": (lines(["inf", *A[1:]], B), {"missing": [np.inf, -np.inf]}, "ab"),
    "a typing error": (lines(["oops", *A[1:]], B), {"missing": ["oops"]}, "ab"),
    "dollars": (lines([f"${abs(a)}" for a in A], B), {"columns": ["b"]}, "b"),
    "percent": (lines([f"{a}%" for a in A], B), {"columns": ["b"]}, "b"),
    "dates": (lines(["2020-01-31"] * 60, B), {"columns": ["b"]}, "b"),
    "months": (lines(["Jan 2020"] * 60, B), {"columns": ["b"]}, "b"),
    "names": (lines([f"n{index}" for index in range(60)], B), {"columns": ["b"]}, "b"),
    "cities": (lines(CITY, B), {"categorical_columns": ["a"]}, "b"),
    "constant": (lines([7] * 60, B), {"drop_dependent": True, "columns": ["b"]}, "b"),
    "large numbers": (lines([2**60 + i for i in range(60)], B), {"columns": ["b"]}, "b"),
    "index": (lines(range(60), B, header=",b"), {"columns": ["b"]}, "b"),
    "equal names": (lines(header="a,a"), {"columns": ["a", "a.1"]}, ["a", "a.1"]),
    "odd names": (
        lines(CITY, [f"n{i}" for i in range(60)], A, header=f"c,d,{ODD}", form="{},{},{}"),
        {"categorical_columns": ["c"], "columns": [ODD]},
        [ODD],
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_refusal_names_the_options_that_read_the_file(tmp_path, name):
    text, expected, columns = FORMS[name]
    (tmp_path / "t.csv").write_text(text)
    data, options = open_as_advised(tmp_path / "t.csv")
    assert options == expected
    assert data.raw.feature_names == list(columns)
    assert np.isfinite(data.rows["train"].x).all()


def test_all_mistakes_of_a_file_are_told_together(tmp_path):
    columns = [range(60), ["2020-01-31"] * 60, CITY, A, ["?", *B[1:]], [1] * 60]
    names = "id,day,city,a,b,one"
    (tmp_path / "t.csv").write_text(lines(*columns, header=names, form="{},{},{},{},{},{}"))
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "t.csv")
    for name in ("day", "city", "b", "one"):
        assert f"column '{name}'" in str(caught.value)
    data = open_table(tmp_path / "t.csv", **advised(str(caught.value)))
    assert data.raw.feature_names == ["id", "a", "b"]
    assert data.raw.categories == {"city": ["Aix", "Bern", "Ulm"]}


NAMES = ["a", "bill length", "a,b", "it's", 'so "so"', "$x", "x'\"y", "[z]", "true", "1.5", "007"]


@pytest.mark.parametrize("name", NAMES)
def test_options_survive_shell_and_hydra(name):
    word = shlex.split(override("data.columns", ["x", name]))
    assert OverridesParser.create().parse_override(*word).value() == ["x", name]


PACKED = {
    "csv": lambda path, text: path.write_bytes(text),
    "csv.gz": lambda path, text: path.write_bytes(gzip.compress(text)),
    "csv.bz2": lambda path, text: path.write_bytes(bz2.compress(text)),
    "csv.xz": lambda path, text: path.write_bytes(lzma.compress(text)),
    "csv.zst": lambda path, text: path.write_bytes(pa.compress(text, "zstd", asbytes=True)),
    "csv.zip": lambda path, text: zipfile.ZipFile(path, "w").writestr("t.csv", text),
    "tsv": lambda path, text: path.write_bytes(text.replace(b",", b"\t")),
    "dat": lambda path, text: path.write_bytes(text.replace(b",", b"   ")),
    "feather": lambda path, _: pd.DataFrame(X, columns=[*"ab"]).to_feather(path),
    "xlsx": lambda path, _: pd.DataFrame(X, columns=[*"ab"]).to_excel(path, index=False),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_every_kind_of_file_holds_the_same_table(tmp_path, suffix):
    if suffix == "xlsx":
        pytest.importorskip("openpyxl")
    PACKED[suffix](tmp_path / f"t.{suffix}", lines().encode())
    found = all_rows(open_table(tmp_path / f"t.{suffix}"))
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(X, axis=0))


READ = [  # text, options, the values of column b, which follows those of a
    (lines(A, ["TRUE", "false", "Yes", "no"] * 15), {}, [1, 0, 1, 0] * 15),
    (lines(["kg", *A], ["m", *B]), {"skip_lines": [2]}, B),
    ("x\ny\n" + lines(), {"header": 3}, B),
    (lines().replace("\n", "\r"), {}, B),
    ("\ufeff" + lines(), {}, B),
    (lines(A, [f"{b:+}" for b in B]), {}, B),
    (lines(A, [-999, *B[1:]]), {"missing": [-999]}, B[1:]),
    (lines(A, ["-999.00", *B[1:]]), {"missing": ["-999"]}, B[1:]),
    (lines(A, ["?", "-", *B[2:]]), {"missing": ["?", "-"]}, B[2:]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "values"), READ)
def test_what_options_read(tmp_path, text, options, values):
    (tmp_path / "t.csv").write_text(text, newline="")
    data = open_table(tmp_path / "t.csv", **options)
    np.testing.assert_array_equal(np.sort(all_rows(data)[:, 1]), np.sort(values))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig", "cp037"])
def test_other_encodings(tmp_path, encoding):
    (tmp_path / "t.csv").write_text(lines(header="Größe,b"), encoding=encoding)
    data = open_table(tmp_path / "t.csv", encoding=encoding)
    assert data.raw.feature_names == ["Größe", "b"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_marked_values_are_missing_in_every_format(tmp_path, suffix):
    x, path = X.copy(), tmp_path / f"t{suffix}"
    x[3, 1] = -999
    if suffix == ".npy":
        np.save(path, x)
    else:
        frame = pd.DataFrame(x, columns=[*"ab"])
        frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    data = open_table(path, missing=[-999])
    np.testing.assert_array_equal(np.sort(all_rows(data), 0), np.sort(np.delete(X, 3, 0), 0))


def test_text_in_a_parquet_file_is_read_like_that_of_a_csv(tmp_path):
    frame = pd.DataFrame({"a": A, "b": ["?", *map(str, B[1:])], "c": ["yes", "no"] * 30})
    frame.to_parquet(tmp_path / "t.parquet")
    data, options = open_as_advised(tmp_path / "t.parquet")
    assert options == {"missing": ["?"]}
    assert set(all_rows(data)[:, 2]) == {0, 1}


NOT_AVAILABLE = [  # options, labels; None: refused with both ways out
    ({}, None),
    ({"missing": "drop"}, ["Aix", "Ulm"]),
    ({"missing": []}, ["Aix", "NA", "Ulm"]),
    ({"missing": ["?"]}, ["Aix", "NA", "Ulm"]),
    ({"missing": ["NA"]}, ["Aix", "Ulm"]),
]


@pytest.mark.parametrize(("options", "labels"), NOT_AVAILABLE)
def test_na_may_be_a_label(tmp_path, options, labels):
    (tmp_path / "t.csv").write_text(lines(["Ulm", "Aix", "NA"] * 20, B))
    options = {**options, "categorical_columns": ["a"]}
    if labels is None:
        message = r"'a' holds 'NA', which may be a label .*drop, or data.missing=\[\] takes NA as"
        with pytest.raises(DataError, match=message):
            open_table(tmp_path / "t.csv", **options)
    else:
        assert open_table(tmp_path / "t.csv", **options).raw.categories["a"] == labels


def test_a_name_with_a_blank_is_one_column(tmp_path):
    (tmp_path / "t.csv").write_text("bill length\n" + "".join(f" {a}\n" for a in A))
    assert open_table(tmp_path / "t.csv").raw.feature_names == ["bill length"]


WRONG = [
    ("t.csv", {"separator": "ab"}, "data.separator='ab': expected text that is comma, semi"),
    ("t.csv", {"encoding": "utf-99"}, "data.encoding='utf-99': expected text such as utf-8"),
    ("t.csv", {"separator": ",", "decimal": ","}, "data.separator=, and data.decimal=,"),
    ("t.csv", {"header": 0}, "data.header=0: expected an integer at least 1 or 'none'"),
    ("t.csv", {"skip_lines": -1}, "data.skip_lines=-1: expected an integer at least 0"),
    (
        "t.csv",
        {"missing": "?"},
        "data.missing='\\?' is unknown: expected 'refuse', 'drop', 'marginalize' or a",
    ),
    ("t.npy", {"separator": ";", "header": "none"}, "data.separator, data.header: .* is not text"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_options_of_reading_are_told(tmp_path, name, options, message):
    (tmp_path / "t.csv").write_text(lines())
    np.save(tmp_path / "t.npy", X)
    with pytest.raises(DataError, match=message):
        open_table(tmp_path / name, **options)
