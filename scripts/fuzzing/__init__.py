"""The campaigns of `scripts/fuzz.py`."""
