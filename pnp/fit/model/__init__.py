"""Models of what is measured, and the numbers of a channel that they depend on."""
