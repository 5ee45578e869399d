"""Download the originals of data sets: `python scripts/download.py gas mnist`, or `all`."""

import sys

from flowbench.commands.download import main

if __name__ == "__main__":
    sys.exit(main())
