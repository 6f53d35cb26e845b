"""The figures of a report: what each shows, with its numbers. Altair specifies them, Vega draws them."""
