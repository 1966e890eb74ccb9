"""Measured currents and reversal potentials: their checks, files and corrections."""
