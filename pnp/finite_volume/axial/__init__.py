"""One dimension: the pore along its axis."""
