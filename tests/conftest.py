"""No test reaches for the network, and neither do the programs that tests start."""

import os

os.environ["FLOWBENCH_OFFLINE"] = "1"
