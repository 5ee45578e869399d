"""Audio clips as spectra."""
