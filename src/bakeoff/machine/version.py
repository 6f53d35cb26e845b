"""The version, for all rooms; the package itself imports from the highest of them."""

__version__ = "0.1.0"
