"""Draw samples of a run: `python scripts/sample.py RUN -n 1000 --out samples.csv`."""

from flowbench.commands.sample import main

if __name__ == "__main__":
    main()
