"""One file a command: its options, its mistakes, what it prints. No torch at import."""
