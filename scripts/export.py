"""A density as a file that runs without flowbench: `python scripts/export.py RUN --out m.pt2`."""

from flowbench.commands.export import main

if __name__ == "__main__":
    main()
