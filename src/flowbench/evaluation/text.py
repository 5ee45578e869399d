"""What `evaluate` says of a split, in lines for the screen."""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "describe",
    "diagnostic_lines",
    "events",
    "label_lines",
    "score_text",
    "step_lines",
    "unit",
]


def score_text(score: Mapping[str, Any], unit: str = "nats") -> str:
    """A mean with its error.

    Example:
        >>> score_text({"mean": -1.23456, "two_standard_errors": 0.01})
        '-1.2346 ± 0.0100 nats'
    """
    return f"{score['mean']:.4f} ± {score['two_standard_errors']:.4f} {unit}"


def unit(score: Mapping[str, Any]) -> str:
    """The unit of the log-likelihoods in the block of a split.

    Example:
        >>> unit({"rows_per_event": 98}), unit({"rows_per_event": 1})
        ('nats per clip (98 frames)', 'nats')
    """
    count = score.get("rows_per_event", 1)
    return "nats" if count == 1 else f"nats per clip ({count} frames)"


def events(score: Mapping[str, Any]) -> str:
    """What the log-likelihoods in the block of a split belong to: rows, or clips of frames."""
    return "rows" if score.get("rows_per_event", 1) == 1 else "clips"


def describe(score: Mapping[str, Any]) -> list[str]:
    """The block of a split, line by line, each of them indented."""
    inner, outer = (score["log_likelihood"][space] for space in ("model_space", "data_space"))
    kind = events(score)
    lines = [_line("log-likelihood", score_text(inner, unit(score)) + _order(inner, kind))]
    if outer["mean"] != inner["mean"]:
        lines.append(_line("in data units", score_text(outer, unit(score))))
    if score["bits_per_dim"] is not None:
        lines.append(_line("bits per dimension", f"{score['bits_per_dim']:.4f}"))
    if score["exact"] is not None:
        lines.append(_line("exact", f"{score['exact']:.4f} nats (the true density's expectation)"))
    name = kind.removesuffix("s")
    least = ", ".join(f"{e[name]} ({e['log_likelihood']:.1f})" for e in score["least_likely"])
    least += "  (positions in the split, from 0)"
    return [*lines, _line(f"least likely {kind}", least), *label_lines(score)]


def label_lines(score: Mapping[str, Any]) -> list[str]:
    """What the block of a split says of labels, if it does; each line indented."""
    lines = []
    if "marginal" in score:
        lines.append(
            _line("without labels", score_text(score["marginal"]["model_space"], unit(score)))
        )
        lines.append(_line("accuracy", f"{score['accuracy']:.2%} (by Bayes' rule)"))
    return lines + (_anomaly(score["anomaly"]) if "anomaly" in score else [])


def diagnostic_lines(found: Mapping[str, Any]) -> list[str]:
    """What `diagnose` has found, line by line, each of them indented."""
    lines = [_line("train less test", f"{found['gap']:.4f} nats per row")]
    for split in ("train", "test"):
        of = found[split]
        error, share = of["round_trip"], of["bounded_log_scales"]
        lines.append(f"  {split} rows")
        lines.append(_line("  round trip", "not finite" if error is None else f"{error:.1e}"))
        if share is not None:
            lines.append(_line("  log-scales at bound", f"{share:.2%}"))
        if of["base"] is not None:
            lines += _normality(of["base"])
    lines.append(f"  {'gradient norms':28} {'mean':11} max")
    for layer in found["gradient_norms"]:
        lines.append(f"    {layer['layer']:26} {layer['mean']:<11.4g} {layer['max']:.4g}")
    return lines


def step_lines(steps: Mapping[str, Any]) -> list[str]:
    """What `step_summary` says, beside what is published; each line indented."""
    ours, theirs = steps, steps["published"] or {}

    def told(end: str, key: str) -> str:
        known = theirs.get(end, {}).get(key)
        beside = "" if known is None else f" (published {known:.4f})"
        return f"{ours[end][key]:.4f}{beside}"

    lines = [
        _line(name, f"train {told('untrained', f'{prefix}train')}, "
                    f"test {told('untrained', f'{prefix}test')}")
        for name, prefix in (("under N(0, I)", "base/"), ("untrained", ""))
    ]  # fmt: skip
    there = f", at step {theirs['last']['step']:,.0f}" if theirs else ""
    last = _line(f"at step {ours['last']['step']:,}", f"test {told('last', 'test')}{there}")
    return [*lines, last]


def _normality(base: Mapping[str, Any]) -> list[str]:
    lines = [
        _line("  noise, KS", f"mean {base['ks_mean']:.4f}, max {base['ks_max']:.4f} "
                             f"(normal: 5 % above {base['ks_critical']:.4f})"),
        _line("  noise, correlation", f"max {base['correlation_max']:.4f}"),
        _line("  noise, QQ", f"rms mean {base['qq_mean']:.4f}, max {base['qq_max']:.4f}"),
    ]  # fmt: skip
    for q in base["quantiles"]:
        told = f"{q['mean']:.3f} ({q['lowest']:.3f} to {q['highest']:.3f})"
        lines.append(_line(f"    {q['probability']:g}", f"{told}, normal {q['normal']:.3f}"))
    return lines


def _anomaly(table: Mapping[str, Any]) -> list[str]:
    labels = sorted(table["labels"].items(), key=lambda item: -item[1]["mean"])
    width = max(len(label) for label, _ in labels)
    lines = [f"  {table['unit']}, density of {table['learnt']!r}"]
    for label, score in labels:
        told = f"    {label:{width}}  {score['mean']:10.3f} ± {score['two_standard_errors']:.3f}"
        if "auroc" in score:
            told += f"  AUROC {score['auroc']:.4f}  AP {score['average_precision']:.4f}"
        lines.append(told)
    return [
        *lines,
        _line("labels above", f"{table['above']} of {len(labels) - 1}"),
        _line("AUROC", f"mean {table['mean_auroc']:.4f}, worst {table['worst_auroc']:.4f}, "
                       f"against all others together {table['others']['auroc']:.4f}"),
    ]  # fmt: skip


def _order(score: Mapping[str, Any], kind: str) -> str:
    return (
        f"  ({score['n']:,} {kind}; median {score['median']:.4f}, "
        f"1 % {score['quantile_1_percent']:.4f}, min {score['min']:.4f})"
    )


def _line(name: str, text: str) -> str:
    return f"  {name:20} {text}"
