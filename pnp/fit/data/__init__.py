"""What was measured: currents, reversal potentials, their files and corrections."""
