"""Exact evaluation of trained densities."""

from flowbench.evaluation.likelihood import evaluate, log_likelihoods, summarize

__all__ = ["evaluate", "log_likelihoods", "summarize"]
