"""Tables as other programs write them: nothing is lost, nothing is taken for something else."""

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from tables import all_rows, open_table, parquet

from flowbench.data import DataError


def frame(rows=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as caught:
        open_table(path, **options)
    assert "\n" not in str(caught.value)


def test_a_csv_without_a_header_does_not_lose_its_first_row(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False, header=False)
    refused(tmp_path / "t.csv", "first line must be a header, but holds only numbers: 0.12573")


def test_columns_named_by_numbers_are_chosen_by_name(tmp_path):
    frame().set_axis([0, 1], axis=1).to_csv(tmp_path / "t.csv", index=False)
    refused(tmp_path / "t.csv", r"data\.columns=\[\.\.\.\] if these are names")
    data = open_table(tmp_path / "t.csv", columns=[0, 1])
    assert sum(map(len, data.rows.values())) == 60


def test_the_index_in_a_csv_is_not_modelled(tmp_path):
    frame().to_csv(tmp_path / "t.csv")
    refused(tmp_path / "t.csv", r"column 1 has no name .*index=False.*data\.columns=\[a,b\]$")
    data = open_table(tmp_path / "t.csv", columns=["a", "b"])
    assert data.raw.feature_names == ["a", "b"]


def test_the_index_in_a_parquet_file_is_not_modelled(tmp_path):
    path = tmp_path / "t.parquet"
    frame().sample(frac=1, random_state=0).to_parquet(path)
    assert open_table(path).raw.feature_names == ["a", "b"]
    people = frame().set_index(pd.Index([f"p{row // 3}" for row in range(60)], name="person"))
    people.to_parquet(path)
    assert open_table(path).raw.feature_names == ["a", "b"]
    assert open_table(path, group_column="person").raw.feature_names == ["a", "b"]


MISSING = ["NA", "NaN", "nan", "null", "None", "", "  ", " NA"]


@pytest.mark.parametrize("word", MISSING)
@pytest.mark.parametrize("column", ["a", "label", "group"])
def test_a_word_for_missing_is_missing_in_numbers_and_labels_alike(tmp_path, word, column):
    labels = {"label": ["u", " v", "v"] * 20, "group": ["1", " 1", "2", "3"] * 15}
    rows = frame().assign(**labels).astype(str)
    rows.loc[5, column] = word
    rows.to_csv(tmp_path / "t.csv", index=False)
    options = {"categorical_columns": ["label"], "group_column": "group"}
    told = f"row 6, column '{column}' (is (nan|empty)|holds '{word.strip()}'), .*data.missing=drop"
    refused(tmp_path / "t.csv", told.replace("), ", ").*"), **options)
    data = open_table(tmp_path / "t.csv", **options, missing="drop")
    assert sum(map(len, data.rows.values())) == 59
    assert data.raw.categories == {"label": ["u", "v"]}


def test_the_first_wrong_cell_is_told_beside_missing_ones(tmp_path):
    rows = frame().astype(str)
    rows.loc[5, "a"], rows.loc[20, "b"] = "NA", "old"
    rows.to_csv(tmp_path / "t.csv", index=False)
    refused(tmp_path / "t.csv", "row 21, column 'b' holds 'old'", missing="drop")


def test_a_label_that_reads_as_no_number_has_a_place_in_the_order(tmp_path):
    rows = frame().assign(label=["10", "nan", "9", "x", "inf"] * 12)
    rows.to_parquet(tmp_path / "t.parquet")
    data = open_table(tmp_path / "t.parquet", categorical_columns=["label"])
    assert data.raw.categories["label"] == ["9", "10", "inf", "nan", "x"]


def test_line_breaks_inside_of_quotes_are_read(tmp_path):
    rows = frame(30_000).assign(
        note=[f"one\n7.5,two,3\n{'x' * (row % 50)}" for row in range(30_000)]
    )
    rows.to_csv(tmp_path / "t.csv", index=False)
    assert (tmp_path / "t.csv").stat().st_size > 2**20  # more than one block of the reader
    data = open_table(tmp_path / "t.csv", columns=["a", "b"])
    found = np.sort(all_rows(data)[:, 0])
    np.testing.assert_allclose(found, np.sort(rows["a"]))


COMMAS = "expected columns separated by commas"
FORMS = [
    ("a;b\n1,5;2,5\n1,25;3,5\n", "utf-8", {}, f"{COMMAS}, but the first line is 'a;b'"),
    ("a\tb\n1.5\t2.5\n1.2\t3.5\n", "utf-8", {"columns": ["a"]}, COMMAS),
    ("a b\n1.5 2.5\n1.2 3.5\n", "utf-8", {}, COMMAS),
    ('a,b\n"1,5","2,5"\n', "utf-8", {}, "'a' holds '1,5', .* data.decimal=comma$"),
    ("a,b\n1_000,2\n", "utf-8", {}, "row 1, column 'a' holds '1_000', .* a finite number"),
    ("a,b\n1.5,2.5\n", "utf-16", {}, r"t\.csv is no UTF-8 text"),
    ("Größe,b\n1.5,2.5\n", "latin-1", {}, r"t\.csv is no UTF-8 text"),
    ("a,b\nZürich,2.5\n", "latin-1", {"categorical_columns": ["a"]}, "is no UTF-8 text"),
    ("a,b\nZürich,2.5\n", "latin-1", {}, "is no UTF-8 text"),
    ('a,b\n1,2\n"3,4\n', "utf-8", {}, "row 2 has 1 field, expected 2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "encoding", "options", "message"), FORMS)
def test_another_form_of_csv_is_told(tmp_path, text, encoding, options, message):
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    refused(tmp_path / "t.csv", message, **options)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_row_of_another_length_that_is_no_utf_8_is_told_without_a_traceback(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1.5,2.5\n\x85,1,2\n")
    refused(tmp_path / "t.csv", "is no UTF-8 text; data.encoding=")


def damaged(path, write, at):
    """A file of which one byte is another."""
    write(path)
    whole = bytearray(path.read_bytes())
    whole[at] ^= 0xFF
    path.write_bytes(whole)


def arrays(path, **extra):
    x = frame().to_numpy()
    np.savez(path, train=x[:40], val=x[40:50], test=x[50:], **extra)


def h5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=frame(5000), chunks=(500, 2), fletcher32=True)


def dead_link(path):
    with h5py.File(path, "w") as file:
        file["x"] = h5py.SoftLink("/gone")


def checked(path):
    pyarrow.parquet.write_table(
        pa.Table.from_pandas(frame()), path, write_page_checksum=True, compression="none"
    )


BIG, NAMES = [2**53 + 1] * 60, [None] * 60
FILES = [
    (
        "npz",
        lambda p: arrays(p, validation=np.ones((9, 2))),
        "val and validation, which both name the split 'val'",
    ),
    (
        "parquet",
        lambda p: parquet(p, a=frame()["a"], s=pa.array(NAMES, pa.string())),
        "'s' is nan",
    ),
    (
        "parquet",
        lambda p: parquet(p, a=BIG),
        "row 1, column 'a' holds '9007199254740993', .* beyond",
    ),
    ("npy", lambda p: np.save(p, [[0, 2**60]] * 60), r"row 1, column '1' holds '\d+', .* beyond"),
    ("npy", lambda p: np.save(p, np.full((60, 2), -(2**62))), "row 1, column '0' holds '-"),
    ("npz", lambda p: damaged(p, arrays, 300), r"t\.npz is not a readable \.npz file: Bad CRC-32"),
    (
        "parquet",
        lambda p: damaged(p, checked, 200),
        r"t\.parquet is not a readable .parquet file: .*[cC][rR][cC]",
    ),
    ("h5", lambda p: damaged(p, h5, -3000), r"t\.h5.* is not a readable \.h5 file: Can.t"),
    ("h5", dead_link, r"t\.h5 holds the arrays \(none\)"),
]


@pytest.mark.parametrize(("suffix", "write", "message"), FILES)
def test_a_file_that_cannot_be_read_truly_is_refused(tmp_path, suffix, write, message):
    write(tmp_path / f"t.{suffix}")
    refused(tmp_path / f"t.{suffix}", message)


def test_a_line_without_text_in_a_single_column_is_a_missing_cell(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "1\n2\n\n3.5\n" * 20 + "\n\n")
    refused(tmp_path / "t.csv", r"row 3, column 'a' is nan \(and 19 more such cells\)")
    assert len(all_rows(open_table(tmp_path / "t.csv", missing="drop"))) == 60


def test_a_row_of_empty_cells_in_a_sheet_is_missing_unless_at_its_ends(tmp_path):
    rows = [*frame().itertuples(index=False)]
    sheet = pd.DataFrame([[None] * 2, ["a", "b"], *rows[:5], [None] * 2, *rows[5:], [None] * 2])
    sheet.to_excel(tmp_path / "t.xlsx", index=False, header=False)
    refused(tmp_path / "t.xlsx", "row 6, column 'a' is nan")
    assert len(all_rows(open_table(tmp_path / "t.xlsx", missing="drop"))) == 60


def test_rows_left_out_count_where_a_logarithm_is_refused(tmp_path):
    rows = frame().abs() + 1
    rows.loc[:2, "a"] = np.nan
    rows.loc[9, "b"] = -1
    rows.to_csv(tmp_path / "t.csv", index=False)
    told = r"row 10, column 'b' is -1\.0, but data\.log_columns needs"
    refused(tmp_path / "t.csv", told, log_columns=["b"], missing="drop")
