"""Print how exactly each layer undoes itself in float32, on inputs from tame to wild."""

import argparse

from flowbench.evaluation.invertibility import INPUTS, LAYERS, invertibility_table


def main(arguments: list[str] | None = None) -> None:
    """Print max |x′ − x| / max |x| of the worst row: data → noise → data, then the other round."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--features", type=int, default=8, help="size of an event (an even number)"
    )
    parser.add_argument("--rows", type=int, default=1000, help="rows of each kind of input")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and weights")
    options = parser.parse_args(arguments)
    print(f"{'layer':40}" + "".join(f"{kind:>18}" for kind in INPUTS))
    for name, errors in invertibility_table(LAYERS, **vars(options)).items():
        cells = (f"{data:.1e}, {noise:.1e}" for data, noise in errors.values())
        print(f"{name:40}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
