"""The tabular sets of the papers."""
