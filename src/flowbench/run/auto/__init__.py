"""`model=auto`: a race between models within some minutes, and the mixture of the best."""
