"""Score finished runs again: `python scripts/evaluate.py RUN`."""

from flowbench.commands.evaluate import main

if __name__ == "__main__":
    main()
