"""Two dimensions: a pore of revolution with its mouths and the membrane around it."""
