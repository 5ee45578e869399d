"""The error of a configuration."""

__all__ = ["ConfigError"]


class ConfigError(Exception):
    """Mistakes in a configuration, one sentence per line, each with the full key."""
