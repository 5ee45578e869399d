"""Exact evaluation of trained densities."""

from flowbench.evaluation.likelihood import log_likelihoods, summarize
from flowbench.evaluation.paired import paired_difference
from flowbench.evaluation.split import evaluate

__all__ = ["evaluate", "log_likelihoods", "paired_difference", "summarize"]
