"""What is found of a density, in lines for the screen, each of them indented."""

from collections.abc import Mapping
from typing import Any

from flowbench.evaluation.score import reported, score_in
from flowbench.formatting import estimate, fixed

__all__ = [
    "calibration_lines",
    "describe",
    "diagnostic_lines",
    "few_told",
    "least_likely_line",
    "line",
    "noise_told",
    "race_lines",
    "step_lines",
]

FEWEST = 3  # of the least likely events
SHOWN = 6  # labels with their probabilities
TOLD_LEVEL = 0.95
SMALLEST_P = 1e-6

# A number in the block of a split → its name, and its value in words.
NUMBERS = {
    "bits_per_dim": ("bits per dimension", "{:.4f}"),
    "exact": ("exact", "{:.4f} nats (the true density's expectation)"),
    "accuracy": ("accuracy", "{:.2%} (by Bayes' rule)"),
}


def line(name: str, text: object) -> str:
    """A name and what belongs to it, in two columns.

    Example:
        >>> line("accuracy", "98 %")
        '  accuracy             98 %'
    """
    return f"  {name:20} {text}"


def describe(block: Mapping[str, Any], split: str) -> list[str]:
    """What `evaluate` says of a split: its scores, and how labels are told apart."""
    inner, outer = score_in(block), score_in(block, "data_space")
    lines = [line(f"{split} log-likelihood", f"{inner.text()}  ({inner.details()})")]
    if reported(block).decided_by_few:
        lines.append(line("decided by few", few_told(block)))
    if outer.mean != inner.mean:
        lines.append(line("in data units", outer.text()))
    if "marginal" in block:
        lines.append(line("without labels", reported(block).text() + _prior(block)))
    for key, (name, words) in NUMBERS.items():
        if block.get(key) is not None:
            lines.append(line(name, words.format(block[key])))
    if draws := block.get("noise_draws"):
        lines.append(line("dequantisation", noise_told(draws, "evaluation.draws=10")))
    if measure := block.get("measure"):
        lines.append(line("density of", f"{measure} features: beside no other nats"))
    return lines + (_anomaly(block["anomaly"]) if "anomaly" in block else [])


def few_told(block: Mapping[str, Any]) -> str:
    """What of a mean is due to ten events, and the statistics that do not depend on them."""
    score = reported(block)
    trimmed = (
        None if score.trimmed_mean == score.mean else score.trimmed_mean
    )  # of few, nothing is
    known = {"trimmed mean": trimmed, "median": score.median}
    others = [f"{name} {fixed(one)}" for name, one in known.items() if one is not None]
    share = "most" if score.share_of_ten is None else f"{score.share_of_ten:.0%}"
    told = f"10 of {score.n:,} {score.event}s make up {share} of the variance: {', '.join(others)}"
    if lowest := block.get("least_likely"):
        shown = (f"{e[score.event]} ({fixed(e['log_likelihood'], 1)})" for e in lowest[:FEWEST])
        told += f"; lowest {score.event}s, from 0: {', '.join(shown)}"
    return told


def noise_told(draws: int, more: str) -> str:
    """Of how many draws of the dequantisation noise a score is, and what averages over more.

    Example:
        >>> noise_told(1, "--draws 10")
        'of one draw of the noise; --draws 10 averages over ten'
    """
    if draws > 1:
        return f"mean over {draws} draws of the noise"
    return f"of one draw of the noise; {more} averages over ten"


def _prior(block: Mapping[str, Any]) -> str:
    """The probabilities of the labels; nothing where an earlier result took all as equal."""
    if "class_prior" not in block:
        return ""
    kind, shares = block["class_prior"]["kind"], block["class_prior"]["shares"]
    few = len(shares) <= SHOWN and kind != "uniform"
    told = ", ".join(f"{label} {share:.3g}" for label, share in shares.items()) if few else ""
    return f"  (p(label) {kind}{': ' if told else ''}{told})"


def calibration_lines(found: Mapping[str, Any]) -> list[str]:
    """What `calibration` has found, in a sentence or two."""
    [at] = [one for one in found["coverage"] if one["level"] == TOLD_LEVEL]
    share = f"{100 * at['share']:.1f} ± {100 * at['two_standard_errors']:.1f} %"
    told = f"{TOLD_LEVEL:.0%} regions hold {share} of {found['rows']:,} test rows"
    if test := found["two_sample"]:
        auroc = f"{test['auroc']:.3f} ± {test['two_standard_errors']:.3f}"
        told += f"; a classifier tells samples from rows with AUROC {auroc} (0.5: by chance)"
    uniformity = found.get("uniformity")
    return [line("calibration", told), *(uniformity_lines(uniformity) if uniformity else [])]


def uniformity_lines(found: Mapping[str, Any]) -> list[str]:
    """What `uniformity` has found, in a sentence or two."""
    lines = [line("every column" if found["of"] == "columns" else "the noise", _farthest(found))]
    if contexts := found["contexts"]:
        lines.append(line("every context", f"farthest, {contexts[0]['context']}: "
                                           f"{_farthest(contexts[0])}"))  # fmt: skip
    return lines


def _farthest(found: Mapping[str, Any]) -> str:
    """The largest of the distances from uniform.

    Example:
        >>> _farthest({"ks_max": 0.021, "feature": "age", "p_value": 0.3})
        'the share of rows below a value is at most 2.1 % off (age; p = 0.3 among all)'
    """
    p_value = found["p_value"]
    told = f"p = {p_value:.2g}" if p_value >= SMALLEST_P else f"p < {SMALLEST_P:g}"
    off = f"{100 * found['ks_max']:.1f} % off ({found['feature']}; {told} among all)"
    return f"the share of rows below a value is at most {off}"


def least_likely_line(block: Mapping[str, Any]) -> str:
    """The events of lowest log-likelihood in the block of a split."""
    event = score_in(block).event
    shown = (f"{e[event]} ({fixed(e['log_likelihood'], 1)})" for e in block["least_likely"])
    return line(f"least likely {event}s", f"{', '.join(shown)}  (positions in the split, from 0)")


def diagnostic_lines(found: Mapping[str, Any]) -> list[str]:
    """What `diagnose` has found."""
    lines = [line("train less test", f"{fixed(found['gap'])} nats per row")]
    for split in ("train", "test"):
        of = found[split]
        error, share = of["round_trip"], of["bounded_log_scales"]
        lines.append(f"  {split} rows")
        lines.append(line("  round trip", "not finite" if error is None else f"{error:.1e}"))
        if share is not None:
            lines.append(line("  log-scales at bound", f"{share:.2%}"))
        if of["base"] is not None:
            lines += _normality(of["base"])
    lines.append(f"  {'gradient norms':28} {'mean':11} max")
    for layer in found["gradient_norms"]:
        lines.append(f"    {layer['layer']:26} {layer['mean']:<11.4g} {layer['max']:.4g}")
    return lines


def race_lines(race: Mapping[str, Any]) -> list[str]:
    """Which models a race has chosen, and how far they are ahead of the best baseline.

    Example:
        >>> zero = {"mean": 0.0, "two_standard_errors": 0.0}
        >>> one = {"name": "gaussian", "test": zero, "ahead": zero}
        >>> race_lines({"chosen": {"gaussian": 1.0}, "baselines": [one]})[1]
        '  ahead of baselines   no: it is the best of them itself'
    """
    shares = ", ".join(f"{name} {weight:.2f}" for name, weight in race["chosen"].items())
    lines = [line("chosen", shares)]
    if race["baselines"]:
        best = max(race["baselines"], key=lambda one: one["test"]["mean"])
        if list(race["chosen"]) == [best["name"]]:
            return [*lines, line("ahead of baselines", "no: it is the best of them itself")]
        ahead = estimate(best["ahead"]["mean"], best["ahead"]["two_standard_errors"], "nats")
        lines.append(line("ahead of baselines", f"{ahead} per test row (of {best['name']})"))
    return lines


def step_lines(steps: Mapping[str, Any]) -> list[str]:
    """What `step_summary` says, beside what is published."""
    ours, theirs = steps, steps["published"] or {}

    def told(end: str, key: str) -> str:
        known = theirs.get(end, {}).get(key)
        beside = "" if known is None else f" (published {fixed(known)})"
        return fixed(ours[end][key]) + beside

    lines = [
        line(name, f"train {told('untrained', f'{prefix}train')}, "
                   f"test {told('untrained', f'{prefix}test')}")
        for name, prefix in (("under N(0, I)", "base/"), ("untrained", ""))
    ]  # fmt: skip
    there = f", at step {theirs['last']['step']:,.0f}" if theirs else ""
    last = line(f"at step {ours['last']['step']:,}", f"test {told('last', 'test')}{there}")
    return [*lines, last]


def _normality(base: Mapping[str, Any]) -> list[str]:
    lines = [
        line("  noise, KS", f"mean {fixed(base['ks_mean'])}, max {fixed(base['ks_max'])} "
                            f"(normal: 5 % above {fixed(base['ks_critical'])})"),
        line("  noise, correlation", f"max {fixed(base['correlation_max'])}"),
        line("  noise, QQ", f"rms mean {fixed(base['qq_mean'])}, max {fixed(base['qq_max'])}"),
    ]  # fmt: skip
    for q in base["quantiles"]:
        keys = ("mean", "lowest", "highest", "normal")
        mean, low, high, normal = (fixed(q[key], 3) for key in keys)
        told = f"{mean} ({low} to {high}), normal {normal}"
        lines.append(line(f"    {q['probability']:g}", told))
    return lines


def _anomaly(table: Mapping[str, Any]) -> list[str]:
    labels = sorted(table["labels"].items(), key=lambda item: -item[1]["mean"])
    width = max(len(label) for label, _ in labels)
    background = table.get("background")
    lines = [f"  {table['unit']}, density of {table['learnt']!r}"]
    for label, found in labels:
        mean, error = fixed(found["mean"], 3), fixed(found["two_standard_errors"], 3)
        told = f"    {label:{width}}  {mean:>10} ± {error}"
        if "auroc" in found:
            told += f"  AUROC {fixed(found['auroc'])}  AP {fixed(found['average_precision'])}"
            if background:
                less = background["labels"][label]["auroc"]
                told += f"  less background AUROC {fixed(less)}"
        lines.append(told)
    lines += [
        line("labels above", f"{table['above']} of {len(labels) - 1}"),
        line("AUROC", _separations(table)),
    ]
    if background:
        lines.append(line("less background", f"{_separations(background)}  ({background['run']})"))
    return lines


def _separations(table: Mapping[str, Any]) -> str:
    mean, worst, others = table["mean_auroc"], table["worst_auroc"], table["others"]["auroc"]
    return f"mean {fixed(mean)}, worst {fixed(worst)}, against all others together {fixed(others)}"
