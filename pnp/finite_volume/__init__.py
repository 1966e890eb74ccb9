"""The Poisson–Nernst–Planck equations on a mesh."""
