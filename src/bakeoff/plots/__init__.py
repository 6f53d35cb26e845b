"""Pictures of a finished run. No torch at import."""
