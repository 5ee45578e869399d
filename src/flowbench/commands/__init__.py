"""What is done with finished runs, and before the first: the commands beside the training."""
