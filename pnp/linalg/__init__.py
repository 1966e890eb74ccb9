"""Elimination of chains of small coupled blocks, for many cases at once. No physics."""
