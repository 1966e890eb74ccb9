"""Cases of two dimensions: the axisymmetric scheme."""
