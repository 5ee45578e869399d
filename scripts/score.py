"""Score the rows of a file: `python scripts/score.py RUN --data rows.csv --out scores.csv`."""

from flowbench.commands.score import main

if __name__ == "__main__":
    main()
