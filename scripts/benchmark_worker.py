"""Times the tasks of one library, in its environment, as a process that answers line by line."""

import importlib.metadata
import json
import os
import sys
from typing import Any

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
THREADS |= {"TF_NUM_INTEROP_THREADS": "1", "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
THREADS["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
DISTRIBUTIONS = {"tfp": ["tensorflow-probability", "tensorflow"], "flowjax": ["flowjax", "jax"]}
DISTRIBUTIONS["floor"] = ["torch"]


def main() -> None:
    """Answer until the input ends: `{"make": …}`, then `{"calls": n}`."""
    os.environ.update(THREADS)
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    from benchmark_clock import clock_of
    from benchmark_tasks import task
    from benchmark_works import WORKS

    step: Any = None
    clock = clock_of("cpu")
    for line in sys.stdin:
        asked = json.loads(line)
        if "make" in asked:
            library, kind, work, batch, device, engine = asked["make"]
            clock = clock_of(device)
            made = task(kind, library, WORKS[work], batch, device=device, engine=engine)
            step, engine = made or (None, "")
            answer: Any = {"can": made is not None, "engine": engine, "versions": _of(library)}
        else:
            start = clock()
            for _ in range(asked["calls"]):
                step()
            answer = (clock() - start) / asked["calls"]
        print(json.dumps(answer), file=answers, flush=True)


def _of(library: str) -> dict[str, str]:
    names = DISTRIBUTIONS.get(library, [library, "torch"])
    return {name: importlib.metadata.version(name) for name in names}


if __name__ == "__main__":
    main()
