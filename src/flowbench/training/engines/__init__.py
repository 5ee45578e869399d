"""Engines: loss and gradient of a training step, and the arithmetic of the optimiser."""
