"""How a comparison is written: terminal, Markdown, LaTeX, CSV, JSON, pandas. No torch."""
