"""The order of batches is a function of (seed, epoch), and nothing is lost or doubled."""

import pytest
import torch

from flowbench.data import BatchLoader, Rows


def loader(rows=103, *, batch_size=8, seed=0, steps_per_item=3):
    x = torch.arange(float(rows)).unsqueeze(-1)
    return BatchLoader(
        Rows(x, 2 * x, torch.tensor(0.0)),
        batch_size=batch_size,
        seed=seed,
        steps_per_item=steps_per_item,
    )


def values(items):
    return [batch.x.flatten().tolist() for item in items for batch in item]


@pytest.mark.parametrize("rows", [8, 11, 12, 100, 103, 104])
def test_every_row_comes_once_in_each_epoch(rows):
    batches = loader(rows)
    for _ in range(2):
        epoch = values(batches)
        assert sorted(row for batch in epoch for row in batch) == list(range(rows))
        assert min(len(batch) for batch in epoch) >= 4


def test_contexts_stay_with_their_rows():
    for item in loader():
        for batch in item:
            torch.testing.assert_close(batch.context, 2 * batch.x)


def test_order_depends_on_seed_and_epoch_alone():
    first, again, other = loader(seed=1), loader(seed=1), loader(seed=2)
    one, two = values(first), values(first)
    assert one != two
    assert [one, two] == [values(again), values(again)]
    assert one != values(other)


def test_goes_on_in_the_middle_of_an_epoch():
    whole = loader()
    iterator = iter(whole)
    next(iterator)
    next(iterator)
    state = whole.state_dict()
    rest = values(iterator)
    resumed = loader()
    resumed.load_state_dict(state)
    assert values(resumed) == rest
    assert values(resumed) == values(whole)


def test_an_epoch_that_was_stopped_after_its_last_item_is_not_the_next_one():
    whole = loader()
    iterator = iter(whole)
    for _ in range(len(whole)):
        next(iterator)
    state = whole.state_dict()
    assert list(iterator) == []
    resumed = loader()
    resumed.load_state_dict(state)
    assert list(resumed) == [[]] * len(whole)
    assert values(resumed) == values(whole)


def test_fewer_rows_than_a_batch_are_one_batch():
    few = loader(5)
    assert len(few) == 1
    assert [sorted(batch) for batch in values(few)] == [[0.0, 1.0, 2.0, 3.0, 4.0]]


@pytest.mark.parametrize(("rows", "batch_size"), [(5, 2), (7, 3), (9, 4), (10, 4), (151, 100)])
def test_no_row_comes_alone_where_batches_are_of_several(rows, batch_size):
    x = torch.arange(float(rows)).unsqueeze(-1)
    loader = BatchLoader(Rows(x, None, torch.tensor(0.0)), batch_size=batch_size, seed=0)
    sizes = [len(batch.x) for item in loader for batch in item]
    assert sum(sizes) == rows
    assert len(sizes) == loader.steps
    assert batch_size / 2 < min(sizes) <= max(sizes) <= 1.5 * batch_size
