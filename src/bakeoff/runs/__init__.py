"""The disk: file names, records, safe reading and writing, finding runs. No torch."""
