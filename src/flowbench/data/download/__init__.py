"""Originals from the web: fetched, checked, unpacked."""
