"""Tables of numbers in every format."""

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from flowbench.data import Table

ROWS = 100


def numbers():
    return np.random.default_rng(0).normal(size=(ROWS, 3)) * [1, 10, 100] + [0, 5, 50]


def write(path, x):
    """The same numbers in the format that the extension names."""
    match path.suffix:
        case ".csv":
            pd.DataFrame(x, columns=["a", "b", "c"]).to_csv(path, index=False)
        case ".parquet":
            pd.DataFrame(x, columns=["a", "b", "c"]).to_parquet(path)
        case ".npy":
            np.save(path, x)
        case ".npz":
            np.savez(path, x=x)
        case _:
            with h5py.File(path, "w") as file:
                file["x"] = x
    return path


def parquet(path, **columns):
    pyarrow.parquet.write_table(pa.table(columns), path)


def open_table(path, **options):
    data = Table(path=path, cache_dir=path.parent / "cache", **options)
    data.setup()
    return data


def all_rows(data):
    return np.concatenate([data.raw.x[split] for split in ("train", "val", "test")])


def drawn(*, seed):
    """The rows of train, val and test: drawn at random, each split in the order of the file."""
    order = np.random.default_rng(seed).permutation(ROWS)
    return np.concatenate([np.sort(part) for part in np.split(order, [80, 90])])
