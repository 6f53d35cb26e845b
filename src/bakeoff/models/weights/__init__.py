"""Weights to begin with: what a name stands for, and reading them. Nothing is imported here."""
