"""The tabular data sets of the papers."""
