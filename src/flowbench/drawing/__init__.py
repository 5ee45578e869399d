"""Pictures of plain numbers, for the figures of a run and for a trained density in a notebook."""
