"""The story of one run, from a config to a run directory; `train.py` tells it. Nothing is imported here."""
