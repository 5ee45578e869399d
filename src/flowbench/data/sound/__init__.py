"""Clips of sound as spectra."""
