"""The user's own table."""
