"""Training a flow: configuration, run folder, Lightning module, and the run itself."""
