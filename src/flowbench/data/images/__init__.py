"""Images as rows of pixels."""
