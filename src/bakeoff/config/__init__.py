"""Configs: the shared keys and their checks, composition, and what identifies a config. No torch."""
