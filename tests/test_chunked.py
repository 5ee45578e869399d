"""Many rows and samples: the numbers of one call, in bounded memory."""

import numpy as np
import pandas as pd
import pytest
import torch

import flowbench
from flowbench.chunked import CHUNK, log_prob_in_chunks, sample_in_chunks
from flowbench.density import FRAME_ROWS
from flowbench.run.peak_memory import PeakMemory

RNG = np.random.default_rng(0)
SMALL = {"layers": 1, "hidden_units": [8]}
NAMES = list("abcdefgh")
MOST = 64e6  # bytes above input and output


@pytest.fixture(scope="module")
def wide():
    frame = pd.DataFrame(RNG.normal(size=(200, 8)), columns=NAMES)
    return flowbench.fit(flowbench.MAF(8, **SMALL), frame, max_epochs=1)


@pytest.fixture(scope="module")
def conditional():
    torch.manual_seed(0)
    x, context = RNG.normal(size=(300, 2)) * 3 + 5, RNG.normal(size=(300, 1))
    return flowbench.fit(flowbench.MAF(2, context_features=1, **SMALL), x, context, max_epochs=2)


def extra_bytes(call):
    """Peak memory of a call above what was held before, without its result."""
    memory = PeakMemory()
    before = memory.bytes(torch.device("cpu"))
    result = call()
    after = memory.bytes(torch.device("cpu"))
    if before is None or after is None:
        pytest.skip("the system does not say")
    return after - before - np.asarray(result).nbytes


def frame(x):
    return pd.DataFrame(x, columns=NAMES)


FORMS = {
    "tensor": torch.from_numpy,
    "frame in another order": lambda x: frame(x)[NAMES[::-1]],
    "broadcast": lambda x: torch.from_numpy(x[:1000, None]).expand(1000, 1000, 8),
}


@pytest.mark.parametrize("form", FORMS)
def test_log_densities_of_a_million_rows(wide, form):
    x = FORMS[form](RNG.normal(size=(1_000_000, 8)))
    wide.log_prob(x[:10])
    assert extra_bytes(lambda: wide.log_prob(x)) < MOST


def test_a_million_samples(wide):
    wide.double().sample(10)
    assert extra_bytes(lambda: wide.sample(1_000_000)) < MOST
    wide.float()


def summed(x, context=None):
    return x.sum(-1) if context is None else x.sum(-1) * context.sum(-1)


@pytest.mark.parametrize(
    ("batch", "given"),
    [
        ((2 * CHUNK + 1,), None),
        ((3, 7000), None),
        ((3, 7000), (7000,)),
        ((3, 7000), (3, 1)),
        ((7000, 1), (3,)),
        ((30, 1, 40), (50, 1)),
        ((CHUNK + 1,), ()),
        ((CHUNK + 1,), (1,)),
        ((), (CHUNK + 1,)),
        ((1,), (2, CHUNK)),
        ((0,), (CHUNK, 1)),
    ],
)
def test_parts_are_put_together_as_they_were(batch, given):
    x = torch.from_numpy(RNG.normal(size=(*batch, 2)))
    context = None if given is None else torch.from_numpy(RNG.normal(size=(*given, 3)))
    sizes = []

    def part(x, context):
        found = summed(x, context)
        sizes.append(found.numel())
        return found

    found = log_prob_in_chunks(part, x, context)
    assert torch.equal(found, summed(x, context))
    assert max(sizes) <= CHUNK


@pytest.mark.parametrize("given", [None, (), (1,), (FRAME_ROWS + 5,), (2, 1)])
def test_parts_of_a_frame(conditional, wide, given):
    x = RNG.normal(size=(FRAME_ROWS + 5, 8))
    if given is None:
        np.testing.assert_allclose(wide.log_prob(frame(x)), wide.log_prob(x), rtol=1e-5)
        return
    context = RNG.normal(size=(*given, 1))
    found = conditional.log_prob(pd.DataFrame(x[:, :2]), context)
    np.testing.assert_allclose(found, conditional.log_prob(x[:, :2], context), rtol=1e-5)


def test_batches_that_do_not_broadcast(conditional):
    x = torch.zeros(3, 7000, 2)
    with pytest.raises(ValueError, match="have batch dimensions that do not broadcast"):
        conditional.log_prob(x, torch.zeros(6, 1))
    with pytest.raises(ValueError, match="have batch dimensions that do not broadcast"):
        conditional.log_prob(pd.DataFrame(np.zeros((FRAME_ROWS + 1, 2))), torch.zeros(6, 1))


def test_the_gradient_of_many_rows():
    x = torch.from_numpy(RNG.normal(size=(3, 7000, 2))).requires_grad_()
    log_prob_in_chunks(lambda x, _: x.square().sum(-1), x).sum().backward()
    assert torch.equal(x.grad, 2 * x.detach())


@pytest.mark.parametrize("count", [(), (0,), (2, 5000), (CHUNK + 1,)])
@pytest.mark.parametrize("given", [(3,), (CHUNK + 800,), (2, 2)])
def test_each_sample_is_that_of_its_context(count, given):
    context = torch.from_numpy(RNG.normal(size=(*given, 1)))
    count = count if context.numel() < CHUNK else count and (2,)

    def draw(shape, context):
        return context.expand(*shape, *context.shape)

    found = sample_in_chunks(draw, torch.Size(count), context)
    assert torch.equal(found, context.expand(*count, *context.shape))


def test_samples_in_chunks_are_those_of_one_call(wide):
    torch.manual_seed(0)
    found = wide.sample(CHUNK + 1)
    torch.manual_seed(0)
    whole, _ = wide.preprocess(wide.flow.sample(CHUNK + 1))
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)


def test_samples_for_each_context_follow_its_density(conditional):
    """Mapped to noise under its context, each sample is standard normal."""
    torch.manual_seed(0)
    context = torch.tensor([[-2.0], [0.0], [2.0]])
    x = conditional.sample((2, 5000), context)
    assert x.shape == (2, 5000, 3, 2)
    given = conditional.context_for_flow(context.double())
    u, _ = conditional.flow.transform.inverse(conditional.preprocess.inverse(x)[0].float(), given)
    ranks = torch.special.ndtr(u.detach()).flatten(0, 1).sort(0).values
    expected = torch.linspace(0, 1, 10_000).view(-1, 1, 1)
    assert (ranks - expected).abs().max() < 0.025  # p = 1e-5 for each of the six
