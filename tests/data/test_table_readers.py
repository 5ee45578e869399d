"""Tables as other programs write them: nothing is lost, nothing is taken for something else."""

import numpy as np
import pandas as pd
import pytest
from tables import open_table

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
    refused(tmp_path / "t.csv", r"column 1 has no name; .*index=False.*data\.columns=\[\.\.\.\]")
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
