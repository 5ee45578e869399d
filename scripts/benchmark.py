"""Speed beside peers: CPU time on one thread, in turns; ratios are the peer's time by ours.

    python scripts/benchmark.py train --work W1,W2,W4 --batch 100,1024 --peers zuko --json FILE
    python scripts/benchmark.py log_prob --work W1,W2,W4 --rows 8192 --peers zuko,flowjax
    python scripts/benchmark.py sample --work W1,W4 --rows 10000
    python scripts/benchmark.py fit --work W1 --batch 100      # a whole training
    python scripts/benchmark.py loader                         # batches, beside a DataLoader
    python scripts/benchmark.py packed                         # runs of a sweep trained as one
    python scripts/benchmark.py packed_steps --runs 1,4,16     # compiled steps of packed trainings
    python scripts/benchmark.py pixels --batch 100             # a network of masked convolutions
    python scripts/benchmark.py startup                        # beside importing PyTorch
    python scripts/benchmark.py devices                        # two processes beside one, by width

With --device cuda, train, log_prob, sample, packed_steps and pixels run on a GPU, by wall time;
scripts/gpu_check.sh runs them all. scripts/benchmark_page.py makes tables of the JSON files.

Peers are installed where they are missing, those that clash with our packages in environments of
their own. Times vary with the machine and its load; the ratios, medians over the repeats, much
less. Works: MAF (W1, W2, W3 of 8, 63 and 784 features; W6 with a context, W7 with batch norms),
Real NVP (W4) and spline MAF (W5), of five layers.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from benchmark_runs import loader, packed, startup
from benchmark_table import HEAD, add_options, compare, save

RUNS = {"loader": loader, "packed": packed, "startup": startup}
STEPS = ("packed_steps", "pixels")
RUNS |= {kind: partial(compare, kind) for kind in ("train", "log_prob", "sample", "fit")}


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("benchmark", choices=sorted([*RUNS, *STEPS, "devices"]))
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="a file for the rows of the table")
    add_options(parser)
    options = parser.parse_args()
    options.repeats = max(options.repeats, 2)
    torch.set_num_threads(1)
    if options.benchmark == "devices":
        from benchmark_devices import compare as compare_devices

        compare_devices(repeats=options.repeats)
        return
    if options.benchmark in STEPS:
        import benchmark_steps

        RUNS[options.benchmark] = getattr(benchmark_steps, options.benchmark)
    print(HEAD)
    save(RUNS[options.benchmark](options), options.json)


if __name__ == "__main__":
    main()
