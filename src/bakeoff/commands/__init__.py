"""One file a command: its options, its mistakes, what it prints. No torch at import.

A command is a file with a function of its name, its `parser()`, which completion asks too, and its line
of `bakeoff --help`: `USAGE` and `SUMMARY`, each one text on one line, since they are read from the file.
`cli.COMMANDS` has their order.
"""
