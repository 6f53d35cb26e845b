"""Sweeps: expansion of a command line into jobs, one process a job. No torch in the parent."""
