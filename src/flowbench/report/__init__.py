"""The report: a pure function of a tree of run folders."""

from flowbench.report.collect import RunRecord, collect
from flowbench.report.settings import Setting, settings_of
from flowbench.report.table import tidy

__all__ = ["RunRecord", "Setting", "collect", "settings_of", "tidy"]
