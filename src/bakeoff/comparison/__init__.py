"""Run directories to tables that say which differences are real. No torch, and nothing is imported here."""
