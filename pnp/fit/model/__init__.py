"""What should have been measured: models, and the numbers of a channel they depend on."""
