"""What was trained, in use: a finished run opened as a model, and what is made of it."""
