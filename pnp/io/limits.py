"""Limits on the files that are read, so that a wrong one costs neither the memory nor the day."""

MAX_BYTES = 10_000_000
"""Of channel files, tables of measurements and records of fits."""

MAX_HOLE_BYTES = 500_000_000
"""Of the text that HOLE prints, which is long if it prints many frames."""

MAX_ROWS = 100_000
"""Of a table along x."""
