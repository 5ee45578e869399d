"""Pictures as rows of pixels."""
