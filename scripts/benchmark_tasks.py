"""What is timed: a step, densities, samples or a whole training, in each library."""

from collections.abc import Callable
from typing import Any

from benchmark_compiled import COMPILED
from benchmark_flows import MODELS, ours, zuko_flow
from benchmark_works import LAYERS, RATE, Work, products, rows

__all__ = ["task"]

Task = Callable[[], object]
EPOCHS = 5


def task(kind: str, library: str, work: Work, count: int) -> tuple[Task, str] | None:
    """What a library does for a workload, with its engine; None where it has no such flow.

    Args:
        kind: "train", a step on `count` rows; "log_prob" or "sample" of `count` rows; or "fit",
            a training on 100 times as many.
        library: "floor" means the dense products alone.
        work: the workload.
        count: number of rows.
    """
    if library == "floor":
        return _floor(kind, work, count), ""
    if library in COMPILED:
        made = COMPILED[library](kind, work, count)
        return made and (made, "")
    if kind == "fit":
        return FITS[library](work, count)
    if kind == "train" and library == "flowbench":
        return _our_step(work, count)
    return _of_torch(kind, library, work, count)


def _of_torch(kind: str, library: str, work: Work, count: int) -> tuple[Task, str] | None:
    import torch

    if (model := MODELS[library](work)) is None:
        return None
    x, context = _tensors(work, count)
    if kind == "train":
        optimizer = torch.optim.Adam(model.module.parameters(), lr=RATE, fused=True)

        def step() -> None:
            optimizer.zero_grad()
            (-model.log_prob(x, context).mean()).backward()
            optimizer.step()

        return step, ""
    model.module.eval()
    wanted = torch.no_grad()(model.log_prob if kind == "log_prob" else model.sample)
    given = x if kind == "log_prob" else count
    return lambda: wanted(given, context), "plain" if library == "flowbench" else ""


def _tensors(work: Work, count: int) -> Any:
    import torch

    return [None if part is None else torch.from_numpy(part) for part in rows(work, count)]


def _our_step(work: Work, count: int) -> tuple[Task, str]:
    from flowbench.config.settings import Training
    from flowbench.data import Batch
    from flowbench.training.maximum_likelihood import MaximumLikelihood

    engine = "compiled" if work.kind == "spline" else "native"
    options = Training(learning_rate=RATE, weight_decay=0.0, engine=engine)
    module = MaximumLikelihood(ours(work), options)
    module.rows_per_step = lambda: count
    optimizer = module.configure_optimizers()
    module.arithmetic.begin()
    batch = Batch(*_tensors(work, count))
    return lambda: module._optimise(optimizer, batch), module.engine


def _floor(kind: str, work: Work, count: int) -> Task:
    """The dense products and nothing else, by PyTorch's `mm` into given tensors."""
    import torch

    calls = []
    for layer in range(LAYERS):
        for index, (i, o) in enumerate(products(work)):
            x, w, y = torch.randn(count, i), torch.randn(o, i), torch.empty(count, o)
            calls.append((x, w.mT, y))
            if kind == "train":
                g, gw, gx = torch.randn(count, o), torch.empty(o, i), torch.empty(count, i)
                calls.append((g.mT, x, gw))
                if layer or index:
                    calls.append((g, w, gx))

    def multiply() -> None:
        for one, other, out in calls:
            torch.mm(one, other, out=out)

    return multiply


def _flowbench_fit(work: Work, batch: int) -> tuple[Task, str] | None:
    import flowbench

    x, context = _tensors(work, 100 * batch)
    engine = "plain" if work.kind == "spline" else "native"
    options: dict[str, Any] = {"batch_size": batch, "max_epochs": EPOCHS, "learning_rate": RATE}

    def fit() -> None:
        flowbench.fit(ours(work), x, context, engine=engine, progress=False, **options)

    return fit, engine


def _zuko_fit(work: Work, batch: int) -> tuple[Task, str] | None:
    """The loop that its users write, with what `flowbench.fit` does: the best epoch is kept."""
    import copy

    import torch
    from torch.utils.data import DataLoader, TensorDataset

    if zuko_flow(work) is None:
        return None
    x, context = _tensors(work, 100 * batch)
    held = len(x) // 10

    def fit() -> None:
        flow = zuko_flow(work)
        optimizer = torch.optim.Adam(flow.parameters(), lr=RATE)
        parts = [part[held:] for part in (x, context) if part is not None]
        loader = DataLoader(TensorDataset(*parts), batch_size=batch, shuffle=True)
        best, state = -float("inf"), None
        for _ in range(EPOCHS):
            for x_rows, *given in loader:
                loss = -flow(*given).log_prob(x_rows).mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
                optimizer.step()
            with torch.no_grad():
                given = [] if context is None else [context[:held]]
                score = flow(*given).log_prob(x[:held]).mean().item()
            if score > best:
                best, state = score, copy.deepcopy(flow.state_dict())
        flow.load_state_dict(state)

    return fit, ""


FITS = {"flowbench": _flowbench_fit, "zuko": _zuko_fit}
