"""The result of training: a density in data units."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flowbench.chunked import log_prob_in_chunks, sample_in_chunks
from flowbench.conditional import conditional_parts
from flowbench.dense import as_tensor, like
from flowbench.description import description
from flowbench.drawing.learning_curve import learning_curve
from flowbench.drawing.pairs import distributions
from flowbench.flows import Flow, FlowDistribution
from flowbench.flows.arguments import as_shape
from flowbench.flows.preprocessed import Preprocessed
from flowbench.formatting import counted
from flowbench.frames import by_name, by_rows, column_names
from flowbench.named_context import named_context, one_hot
from flowbench.own_values import own_values
from flowbench.stored import PREFIX, write_values
from flowbench.summary import Summary, context_fact, flow_fact, listed, training_fact
from flowbench.tracing import holds
from flowbench.transforms import Chain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TrainedDensity"]

FRAME_ROWS = 65_536  # of a frame, converted to numbers at once
SHOWN = 3


class TrainedDensity(nn.Module):
    r"""A trained flow together with its preprocessing: a density in data units.

    log p(x) = log p_model(u) + log |det ∂u/∂x|, where u is x after preprocessing.

    Rows and contexts are tensors, arrays, lists or frames, and results come in the same form: a
    tensor for a tensor or list, a `Series` for a frame of pandas or polars, otherwise an array.
    Many rows are computed in chunks. `.to()` moves it to a device and sets the dtype of the flow;
    preprocessing stays in float64 (float32 on MPS, which has no float64).

    Attributes:
        flow: the density in model space.
        preprocess: the transform from model space to data units (its `inverse` preprocesses).
        context_preprocess: as `preprocess`, for contexts.
        config: the configuration of the run.
        context_shape: of a context, () for none.
        feature_names: names of the columns of an event.
        categories: column → its labels, whose one-hot features come last in the context.
        saved: the plain values of its checkpoint, which `save` writes.
        history: one row of scores per epoch of its training, where they are known.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        preprocess: Chain,
        context_preprocess: Chain,
        config: Mapping[str, Any],
        context_shape: Sequence[int] = (),
        feature_names: Sequence[str] = (),
        categories: Mapping[str, Sequence[str]] | None = None,
        saved: Mapping[str, Any] | None = None,
        history: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__()
        self.flow = flow
        self.preprocess = preprocess
        self._units = [Preprocessed(flow, preprocess)]  # in a list: its parts are registered once
        self.context_preprocess = context_preprocess
        self.config = config
        self.context_shape: tuple[int, ...] = tuple(context_shape) or (0,)
        self.context_features: int = math.prod(self.context_shape)
        self.feature_names: list[str] = list(feature_names)
        self.categories: dict[str, Sequence[str]] = dict(categories or {})
        self.saved = saved
        self.history: list[Mapping[str, Any]] = list(history)
        self.eval()

    @overload
    def log_prob(self, x: Tensor, context: Any = None) -> Tensor: ...
    @overload
    def log_prob(self, x: NDArray[Any], context: Any = None) -> NDArray[Any]: ...
    @overload
    def log_prob(self, x: Any, context: Any = None) -> Any: ...

    def log_prob(self, x: Any, context: Any = None) -> Any:
        """Log-density of rows `[..., features]` in data units, in nats, with the batch's shape.

        It is differentiable if x or the context is a tensor that requires a gradient. Columns of a
        frame are selected by name (`feature_names`, `context_columns`, `categories`) if it has any
        of them, and by position otherwise; a context may also be a mapping, as the method
        `context` takes. The log-density is −inf outside the support and where the flow overflows;
        only NaN gives NaN.

        Raises:
            ValueError: x or the context has the wrong size, is not numeric or lacks a column, or
                the context has a value that its preprocessing cannot map.
        """
        given, parts = self._given(context), by_rows(x, FRAME_ROWS)
        batch = () if given is None else given.shape[: -len(self.context_shape)]
        shared = math.prod(batch) == 1
        if len(parts) == 1 or not (shared or batch == (len(x),)):
            return like(x, self._log_prob(x, given))
        contexts = [given] * len(parts) if given is None or shared else given.split(FRAME_ROWS)
        return like(x, torch.cat([*map(self._log_prob, parts, contexts)], -1))

    def sample(self, n: int | Sequence[int] = (), context: Any = None) -> Any:
        """Draw `[*n, *context_batch, features]` in data units, where n is a number or a shape.

        Samples have the flow's dtype, or float64 if float32 cannot represent the data, e.g. values
        around 5,000,000 that differ by 1. They are a tensor, or an array if the context is an
        array or a frame. A warning names the columns in which samples overflow.

        Columns of a table to which training added noise (`lattices`), or with `atoms`, have their
        own values: whole numbers where the table has. Samples are then in float64.
        """
        units, own = self.in_data_units, {"lattices": self.lattices, "atoms": self.atoms}

        def draw(shape: Sequence[int], part: Tensor | None) -> Tensor:
            drawn = units.to_data_units(self.flow.sample(shape, part))[0]
            if not any(own.values()):
                return drawn
            return own_values(drawn, self.preprocess, names=self.feature_names, **own)

        with torch.no_grad():
            given = self.context_for_flow(self._given(context))
            dims = len(self.context_shape)
            samples = sample_in_chunks(draw, as_shape(n), given, context_dims=dims)
            self._warn_of_overflow(samples)
            return like(context, samples)

    def sample_and_log_prob(
        self, n: int | Sequence[int] = (), context: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Samples with log-densities; differentiable if the flow's are.

        They are the draws themselves: `sample` gives those of columns with `lattices` or `atoms`
        the values that these have in the table.
        """
        given = self.context_for_flow(self._given(context))
        return self.in_data_units.sample_and_log_prob(n, given)

    def distribution(self, context: Any = None) -> FlowDistribution:
        """The density in data units as a `torch.distributions.Distribution`.

        Its samples are those of `sample_and_log_prob`.

        Args:
            context: `[*batch_shape, context_features]` in data units, if the flow is conditional.

        Example:
            density = flowbench.fit(flowbench.MAF(2), x)
            density.distribution().log_prob(x), density.distribution().sample((1000,))
        """
        inner = self.flow.distribution(self.context_for_flow(self._given(context)))
        return FlowDistribution(Preprocessed(inner.flow, self.preprocess), inner.context)

    def conditional(self, values: Mapping[str, Any]) -> "TrainedDensity":
        """The density of the other columns where some have given values, in data units.

        It is exact, and there for the flows `Gaussian` and `GaussianMixture` alone. It takes the
        context of this density, if it has one, and can be saved.

        Args:
            values: column (one of `feature_names`) → its value; of a column to which training
                added noise (`lattices`), the density is that given the middle of its cell.

        Raises:
            ValueError: the flow is another one, a column is unknown, none or all of them are
                given, or a value is not a number or lies outside of where the density is.

        Example:
            >>> import flowbench, torch
            >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
            >>> density = flowbench.fit(flowbench.flows.GaussianMixture(3, components=2), x)
            >>> density.conditional({"x[:, 0]": 1.5}).feature_names
            ['x[:, 1]', 'x[:, 2]']
        """
        return TrainedDensity(
            **conditional_parts(self.flow, self.preprocess, self._described(), values),
            context_preprocess=self.context_preprocess,
            config=self.config,
            context_shape=self.context_shape,
            categories=self.categories,
        )

    def summary(self) -> Summary:
        """What the density is of and how it was trained: text, and a table in a notebook.

        Example:
            >>> import flowbench, torch
            >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
            >>> flowbench.fit(flowbench.Gaussian(2), x).summary()
            density of Gaussian
              flow           0 parameters, torch.float32, cpu
              features       2: x[:, 0], x[:, 1]
              context        none
              preprocessing  Standardize
        """
        labels = [
            f"{name} ({counted(len(known), 'labels')})" for name, known in self.categories.items()
        ]
        steps = [type(step).__name__ for step in reversed(self.preprocess.transforms)]
        return Summary(
            f"density of {type(self.flow).__name__}",
            {
                "flow": flow_fact(self.flow),
                "features": listed(self._names()),
                "context": context_fact(self.context_features, [*self.context_columns, *labels]),
                "preprocessing": ", ".join(steps) or "none",
                "lattices": ", ".join(self.lattices),
                "single values": ", ".join(self.atoms),
                "training": training_fact(self.history),
            },
        )

    def plot(self, x: Any = None, context: Any = None, *, n: int = 2000) -> "Figure":
        """Samples beside rows: the distribution of each feature, and pairs of features.

        Rows lie below the diagonal (grey), samples above it (blue), both in data units. Of more
        than eight features the first eight are shown; rows with missing cells are left out.

        Args:
            x: rows `[rows, features]`, e.g. held-out ones; None: samples alone.
            context: of each row, `[rows, context_features]`, or one for all samples.
            n: number of samples, and of rows, at most.

        Raises:
            ValueError: x or the context has the wrong size or is missing.

        Example:
            density.plot(x_test, context_test)
        """
        given, rows = self._given(context), torch.empty(0, self.flow.features)
        if x is not None:
            rows = self._rows(x)
            if rows.ndim != 2:
                raise ValueError(f"x has shape {tuple(rows.shape)}, expected [rows, features]")
        batch = () if given is None else given.shape[: -len(self.context_shape)]
        if batch and x is not None and batch != (len(rows),):
            raise ValueError(
                f"x has {counted(len(rows), 'rows')} and the context has {tuple(batch)}, expected "
                "one context for each row, or one for all"
            )
        count = n if x is None else min(n, len(rows))
        if count < 1:
            given_rows = "" if x is None else f" and {counted(len(rows), 'rows')}"
            raise ValueError(f"n={n}{given_rows}: expected at least 1")
        shape = (count,)
        if given is not None and batch:
            given = given.flatten(0, len(batch) - 1)
            shape, given = (), given[_evenly(count, len(given))]
        drawn = torch.as_tensor(self.sample(shape, given)).cpu().double()
        rows = rows[_evenly(min(n, len(rows)), len(rows))].detach().cpu().double()
        return distributions(rows.numpy(), drawn.numpy(), self._names())

    def curve(self) -> "Figure":
        """The learning curve: log-likelihoods of training and validation rows by epoch.

        Raises:
            ValueError: the epochs of its training are not known, or it had none.

        Example:
            density = flowbench.fit(flowbench.MAF(2), x)
            density.curve()
        """
        if not self.history:
            raise ValueError(
                "there is no learning curve: the flow was fitted in closed form, or the density "
                "was loaded from a checkpoint outside of its run folder"
            )
        return learning_curve(self.history)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    def in_data_units(self) -> Preprocessed:
        """The density as a flow on tensors in data units, with preprocessed contexts."""
        return self._units[0]

    def context_for_flow(self, context: Tensor | None) -> Tensor | None:
        """Preprocess a context `[..., context_features]` in data units for the flow."""
        if context is None:
            return None
        flat = self._moved(context).flatten(-len(self.context_shape))
        value, log_det = self.context_preprocess.inverse(flat)
        if not holds(log_det != -torch.inf):
            steps = ", ".join(type(step).__name__ for step in self.context_preprocess.transforms)
            raise ValueError(f"the context has values that {steps} cannot map")
        return value.reshape(context.shape).to(self.flow.dtype)

    @property
    def context_columns(self) -> list[str]:
        """Names of the numeric columns of the context; none unless data are a table or frame."""
        fitted = (self.saved or {}).get("context_columns")
        names = fitted or self.config.get("data", {}).get("context_columns") or []
        return [str(name) for name in names]

    @property
    def lattices(self) -> dict[str, Sequence[float]]:
        """Columns to which training added uniform noise: name → (a lattice point, the step).

        `log_prob` adds none: it is the density at the given point.
        """
        return dict((self.saved or {}).get("lattices", {}))

    @property
    def atoms(self) -> dict[str, Sequence[float]]:
        """Columns with single values that have probabilities of their own: name → these values.

        At them `log_prob` is relative to the measure that counts, elsewhere to that of length.
        """
        return dict((self.saved or {}).get("atoms", {}))

    def context(self, values: Mapping[str, Any]) -> Tensor:
        """Contexts from the values of the table's columns, by name.

        Args:
            values: a number for each of the `context_columns`, in data units, and a label for each
                of the `categories`; or columns of these, of equal length, as in a frame. A single
                value is broadcast to all rows.

        Returns:
            `[context_features]`, or `[rows, context_features]` for columns.

        Raises:
            ValueError: a column is unknown or missing or differs in length from the others, or a
                value is not a number or known label.

        Example:
            density.sample(1000, density.context({"age": 30, "city": "Bern"}))
            density.sample(10, density.context({"age": [30, 40, 50], "city": "Bern"}))
        """
        return named_context(values, self.context_columns, self.categories)

    def one_hot(self, column: str, labels: Sequence[str | None]) -> Tensor:
        """Labels of a categorical column, one-hot encoded for a context, `[rows, labels]`.

        A context consists of its numeric columns, then these, in the order of `categories`. A
        missing label, None, gives NaN.

        Raises:
            ValueError: the column is unknown, or holds a label that no training row had.
        """
        return one_hot(column, labels, self.categories)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint that `flowbench.load` reads: tensors and plain values, no code.

        Args:
            path: of the file, which is replaced atomically.

        Raises:
            ValueError: the flow cannot be described by plain values, e.g. because its class is not
                flowbench's, or because it was given a module or a function.

        Example:
            density = flowbench.fit(flowbench.MAF(2), x)
            density.save("density.ckpt")
            flowbench.load("density.ckpt").log_prob(x)
        """
        saved = self._described()
        config = dict(saved["config"])
        if "model" not in config:
            config["model"] = description(self.flow)
        own = {"config": config, "dtype": str(self.flow.dtype), "history": self.history}
        state = {f"{PREFIX}{name}": value for name, value in self.flow.state_dict().items()}
        write_values({"flowbench": {**saved, **own}, "state_dict": state}, Path(path))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        """As in any module, but preprocessing only changes device, not dtype."""
        self.flow._apply(fn, recurse)
        for chain in (self.preprocess, self.context_preprocess):
            chain.to(self.flow.device)
        return self

    def _described(self) -> Mapping[str, Any]:
        """The plain values of its checkpoint.

        Raises:
            ValueError: they are not known.
        """
        if self.saved is None:
            raise ValueError("this density does not know its preprocessing as plain values")
        return self.saved

    def _names(self) -> list[str]:
        return self.feature_names or [f"x[:, {i}]" for i in range(self.flow.features)]

    def _warn_of_overflow(self, samples: Tensor) -> None:
        rows = samples.reshape(-1, samples.shape[-1])
        lost = torch.cat([~part.isfinite() for part in rows.split(FRAME_ROWS)])
        if not lost.any():
            return
        columns = lost.any(0).nonzero().flatten().tolist()
        known = self.feature_names or range(1, self.flow.features + 1)
        names = [f"column {known[column % len(known)]!r}" for column in columns]
        more = ", …" if len(names) > SHOWN else ""
        warnings.warn(
            f"{int(lost.any(-1).sum()):,} of {samples[..., 0].numel():,} samples overflow in "
            f"{', '.join(names[:SHOWN])}{more}: the density reaches beyond all numbers there",
            RuntimeWarning,
            stacklevel=3,
        )

    def _log_prob(self, x: Any, context: Tensor | None) -> Tensor:
        rows = self._rows(x)
        differentiable = rows.requires_grad or (context is not None and context.requires_grad)
        dims = len(self.context_shape)
        with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
            terms = log_prob_in_chunks(self._on_device, rows, context, context_dims=dims)
            return terms.to(rows.device)

    def _rows(self, x: Any) -> Tensor:
        return _numbers("x", by_name("x", x, self.feature_names), (self.flow.features,))

    def _on_device(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.in_data_units.log_prob(self._moved(x), self.context_for_flow(context))

    def _given(self, context: Any) -> Tensor | None:
        """A context in data units, after checking its shape."""
        known = [*self.context_columns, *self.categories]
        if context is None:
            if known and self.flow.context_features:
                raise ValueError(
                    f"the density is that given {', '.join(known)}, but a context was not given: "
                    "density.context({…}) makes one of their values"
                )
            return None
        if isinstance(context, Mapping):
            context = self.context(context)
        elif found := set(known).intersection(column_names(context)):
            context = self.context({name: context[name] for name in found})
        return _numbers("context", context, self.context_shape)

    def _moved(self, value: Tensor) -> Tensor:
        """Real numbers on the device of the flow; integers become float64 (float32 on MPS)."""
        if self.flow.device.type == "mps":
            value = value.float()
        elif not value.is_floating_point():
            value = value.double()
        return value.to(self.flow.device)


def _numbers(name: str, given: Any, shape: tuple[int, ...]) -> Tensor:
    value = as_tensor(name, given)
    if value.shape[-len(shape) :] != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected [..., {expected}]")
    return value


def _evenly(n: int, known: int) -> Tensor:
    """The places of n of the known rows, some several times if there are fewer."""
    return torch.linspace(0, known - 1, n).long()
