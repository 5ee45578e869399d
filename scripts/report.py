"""Write the report over a tree of run folders: `python scripts/report.py outputs/`."""

from flowbench.commands.report import main

if __name__ == "__main__":
    main()
