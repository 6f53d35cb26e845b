"""What a model says of a split, how good that is, and what it costs. Nothing is imported here."""
