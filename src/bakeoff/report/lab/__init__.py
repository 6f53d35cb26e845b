"""A lab report of some runs, as Markdown or as one HTML file."""
