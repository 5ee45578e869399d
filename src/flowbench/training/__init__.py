"""Training a flow: the Lightning module, what steps and epochs do, devices."""
