"""The runs of the article: trains what is missing, and writes docs/results/article.md.

Where the original of GAS is missing in FLOWBENCH_DATA, the stand-in of samples takes its place.
"""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from keep_results import keep
from PIL import Image
from trained import trained

from flowbench.commands import sample
from flowbench.config.files import complete_files
from flowbench.evaluation.published import published_curve
from flowbench.evaluation.score import Score
from flowbench.formatting import duration
from flowbench.report.text import markdown
from flowbench.report.write import write_report
from flowbench.run.folder import RunFolder

DATA = Path(os.environ.get("FLOWBENCH_DATA") or "data").absolute()
STAND_IN = ["data=table", "data.name=gas_stand_in", f"data.path={DATA}/gas/gas_flow_samples.npy",
            "published=null", "trainer.max_epochs=26", "callbacks.steps.rows=10000"]  # fmt: skip
RUNS = {
    "gas": ["experiment=seed_article/gas", *([] if (DATA / "gas_raw").is_dir() else STAND_IN)],
    "spectrogram": ["experiment=seed_article/spectrogram_zero", "data=fsdd"],
    "fsdd": ["experiment=seed_article/speech_zero", "data=fsdd"],
    "speech_commands": ["experiment=seed_article/speech_zero", "trainer.max_epochs=50"],
}

PAGE = """# The runs of the article

[Experimenting with autoregressive flows in TensorFlow Probability](https://blogs.rstudio.com/ai/posts/2019-04-24-autoregressive-flows/)
(S. Keydana, 2019; below: the article) trains a flow on GAS, tells "zero" from other words by
one spectrum per clip, and gives up on whole spectrograms. The same four, by

    python scripts/article.py

with the runs, their figures and scores (no weights) beside this page.

## GAS, by batch

{gas}

{curve}

![learning curve]({gas_folder}/figures/learning_curve.png)

## A whole spectrogram

98 frames of 257 magnitudes are {features:,} features. In the article this "lead to the network not
making much progress". `experiment=seed_article/spectrogram_zero data=fsdd` trains {parameters:,}
parameters on {rows:,} clips of "zero" (FSDD, resampled to 16 kHz) for {epochs} epochs, in
{seconds}; the best is epoch {best} (from 0). Nats per clip, in model space (standardised
log-magnitudes, of which N(0, I) gives −{normal:,.0f}):

{progress}

It makes progress until epoch {best}, then it learns the clips by heart: there are few for so many
features, and the AUROC is what to look at, not the nats. At its best epoch the flow {anomaly}.

![samples]({whole_folder}/figures/samples.png)

Test clips in the same picture: ![clips]({whole_folder}/figures/test_rows.png)

Samples as sound (phases by Griffin and Lim): {sound}

## "Zero" by one spectrum

257 magnitudes of a clip, 10 layers of 512 units: `experiment=seed_article/speech_zero`. In the
article, 7 of 29 words end up more likely than "zero".

{words}
"""
SHOWN = 9  # lines of a curve
FEW = 100  # clips of a word


def main() -> None:
    """Train, keep, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/article"), help="of the runs")
    parser.add_argument("--kept", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    complete_files()
    common = [f"paths.output={options.output}", "logger=csv", "trainer=cpu"]
    runs = {name: trained(*common, *words) for name, words in RUNS.items()}
    folders = {name: path.relative_to(options.output) for name, (path, _) in runs.items()}
    for name, (path, _) in runs.items():
        keep(RunFolder(path), options.kept / folders[name])
    _sound_and_pictures(runs["spectrogram"][0], options.kept / folders["spectrogram"])
    write_report(options.kept, out=options.kept, formats=["md"])
    page = _page({name: result for name, (_, result) in runs.items()}, folders, options.kept)
    (options.kept / "article.md").write_text(page, encoding="utf-8")


def _sound_and_pictures(path: Path, kept: Path) -> None:
    """Two samples to hear, and the pictures at half their size, as they are too large to keep."""
    sample.main([str(path), "-n", "2", "--out", str(kept / "sample.wav")])
    for name in ("samples.png", "test_rows.png"):
        with Image.open(path / "figures" / name) as picture:
            picture.convert("RGB").reduce(2).save(kept / "figures" / name)


def _page(
    results: Mapping[str, Mapping[str, Any]], folders: Mapping[str, Path], kept: Path
) -> str:
    gas, whole = results["gas"], results["spectrogram"]
    curve = pd.read_csv(kept / folders["gas"] / "steps.csv")
    epochs = pd.read_csv(kept / folders["spectrogram"] / "metrics.csv")
    anomaly = whole["test"]["anomaly"]
    return PAGE.format(
        gas_folder=folders["gas"],
        whole_folder=folders["spectrogram"],
        gas=_gas(gas),
        curve=_curve(gas, curve),
        features=whole["features"],
        parameters=whole["parameters"],
        rows=whole["rows"]["train"],
        epochs=whole["epochs"],
        best=whole["best_epoch"],
        seconds=duration(whole["seconds"]),
        normal=whole["features"] * (1 + math.log(2 * math.pi)) / 2,
        progress=_progress(epochs),
        anomaly=f'tells "zero" from the nine other words with a mean AUROC of '
        f"{anomaly['mean_auroc']:.3f} (worst word {anomaly['worst_auroc']:.3f})",
        sound=", ".join(f"[{n}]({folders['spectrogram']}/sample_{n}.wav)" for n in (1, 2)),
        words="\n\n".join(_words(name, results[name]) for name in ("fsdd", "speech_commands")),
    )


def _gas(result: Mapping[str, Any]) -> str:
    score = Score.parse(result["test"]["log_likelihood"]["model_space"])
    rows = f"{result['rows']['train']:,} rows for {result['epochs']} epochs"
    told = f"Trained on {rows} in {duration(result['seconds'])}; test {score.text()}."
    if result["published"] is None:
        told += (
            " These are not the rows of the article but a stand-in: samples of a spline flow that "
            "others fitted to GAS (8 features as well, preprocessed otherwise). So only the "
            "course of the two curves can be compared, not their heights."
        )
    return told


def _curve(result: Mapping[str, Any], ours: pd.DataFrame) -> str:
    """Our curve by step, and what the article prints nearest to each step."""
    theirs = published_curve("Experimenting", "gas_article")
    head = ["step", "ours, train", "ours, test", "article, step", "article, test"]
    lines = []
    for row in _some(ours.to_dict("records")):
        near = min(theirs, key=lambda one: abs(one["step"] - row["step"]))
        numbers = [row["train"], row["test"]]
        shown = [f"{row['step']:,.0f}", *(f"{one:.3f}" for one in numbers)]
        lines.append([*shown, f"{near['step']:,.0f}", f"{near['test']:.3f}"])
    return markdown(head, lines)


def _progress(epochs: pd.DataFrame) -> str:
    columns = ["epoch", "train/log_likelihood", "val/log_likelihood"]
    lines = [
        [f"{row['epoch']:.0f}", *(f"{row[name]:,.0f}" for name in columns[1:])]
        for row in _some(epochs.to_dict("records"))
    ]
    return markdown(["epoch", "train (with noise)", "validation"], lines)


def _words(name: str, result: Mapping[str, Any]) -> str:
    anomaly = result["test"]["anomaly"]
    labels = sorted(anomaly["labels"].items(), key=lambda item: -item[1]["mean"])
    lines = [
        [label, f"{one['n']}", f"{one['mean']:,.1f} ± {one['two_standard_errors']:,.1f}",
         f"{one['auroc']:.3f}" if "auroc" in one else "learnt"]
        for label, one in labels
    ]  # fmt: skip
    told = (
        f"{name}: {result['rows']['train']} clips to train on, {result['epochs']} epochs; "
        f'{anomaly["above"]} of {len(labels) - 1} words are more likely than "zero", mean AUROC '
        f"{anomaly['mean_auroc']:.3f}, worst {anomaly['worst_auroc']:.3f}."
    )
    if result["rows"]["train"] < FEW:
        told += " With so few clips this shows that it runs, not what the flow can do."
    head = ["word", "clips", "log-likelihood (nats per clip)", 'AUROC of "zero"']
    return f"{told}\n\n{markdown(head, lines)}"


def _some(rows: Sequence[Any]) -> list[Any]:
    """The first row, the last, and some between."""
    places = {round(place * (len(rows) - 1) / (SHOWN - 1)) for place in range(SHOWN)}
    return [rows[place] for place in sorted(places)]


if __name__ == "__main__":
    main()
