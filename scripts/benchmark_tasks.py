"""What is timed: a step, densities, samples or a whole training, in each library."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmark_compiled import COMPILED
from benchmark_flows import MODELS, ours, zuko_flow
from benchmark_works import LAYERS, RATE, Work, products, rows

__all__ = ["our_step", "our_trainings", "task"]

Task = Callable[[], object]
EPOCHS = 5


def task(
    kind: str, library: str, work: Work, count: int, *, device: str = "cpu", engine: str = ""
) -> tuple[Task, str] | None:
    """What a library does for a workload, with its engine; None where it has no such flow.

    Args:
        kind: "train", a step on `count` rows; "log_prob" or "sample" of `count` rows; or "fit",
            a training on 100 times as many.
        library: "floor" means the dense products alone.
        work: the workload.
        count: number of rows.
        device: "cpu" or "cuda".
        engine: of our training; empty: the fastest on a CPU.
    """
    if library == "floor":
        return _floor(kind, work, count, device), ""
    if library in COMPILED:
        made = COMPILED[library](kind, work, count)
        return made and (made, "")
    if kind == "fit":
        return FITS[library](work, count)
    if kind == "train" and library == "flowbench":
        return _our_training_step(work, count, device, engine)
    return _of_torch(kind, library, work, count, device)


def _of_torch(
    kind: str, library: str, work: Work, count: int, device: str
) -> tuple[Task, str] | None:
    import torch

    if (model := MODELS[library](work)) is None:
        return None
    model.module.to(device)
    x, context = _tensors(work, count, device)
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
    engine = _engine_of_rows(work, device) if library == "flowbench" else ""
    return lambda: wanted(given, context), engine


def _engine_of_rows(work: Work, device: str) -> str:
    """What computes our densities and samples; the native library is built before."""
    from flowbench.native.available import library_for

    if device != "cpu" or work.kind == "spline":
        return "plain"
    return "native" if library_for(math.inf) else "plain"


def _tensors(work: Work, count: int, device: str = "cpu") -> Any:
    import torch

    return [
        None if part is None else torch.from_numpy(part).to(device) for part in rows(work, count)
    ]


def _our_training_step(
    work: Work, count: int, device: str, engine: str
) -> tuple[Task, str] | None:
    from flowbench.config.settings import Training
    from flowbench.data import Batch
    from flowbench.training.maximum_likelihood import MaximumLikelihood

    chosen: Any = engine or ("compiled" if work.kind == "spline" else "native")
    options = Training(learning_rate=RATE, weight_decay=0.0, engine=chosen)
    module = MaximumLikelihood(ours(work).to(device), options)
    step = our_step(module, Batch(*_tensors(work, count, device)))
    return step, module.engine


def our_step(module: Any, batch: Any) -> Task:
    """A step of a Lightning module of ours on a batch, without its Trainer."""
    module.rows_per_step = lambda: len(batch.x)
    optimizer = module.configure_optimizers()
    module.arithmetic.begin()
    return lambda: module._optimise(optimizer, batch)


def our_trainings(
    work: Work, number: int, *, rows: int, batch: int, epochs: int, device: str
) -> list[Task]:
    """Trainings of one architecture by the compiled engine, from different weights."""
    import torch

    import flowbench

    x, context = _tensors(work, rows)
    options: dict[str, Any] = {"batch_size": batch, "max_epochs": epochs, "learning_rate": RATE}
    options |= {"engine": "compiled", "accelerator": "gpu" if device == "cuda" else "cpu"}

    def fit(seed: int) -> None:
        torch.manual_seed(seed)
        flowbench.fit(ours(work), x, context, validation=batch / rows, progress=False, **options)

    return [partial(fit, seed) for seed in range(number)]


def _floor(kind: str, work: Work, count: int, device: str) -> Task:
    """The dense products and nothing else, by PyTorch's `mm` into given tensors."""
    import torch

    calls = []
    for layer in range(LAYERS):
        for index, (i, o) in enumerate(products(work)):
            x, w, y = (
                torch.randn(shape, device=device) for shape in ((count, i), (o, i), (count, o))
            )
            calls.append((x, w.mT, y))
            if kind == "train":
                g, gw, gx = (
                    torch.randn(shape, device=device) for shape in ((count, o), (o, i), (count, i))
                )
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
