"""An optional accelerator for CPUs: JAX's traces of local laws, compiled by LLVM and called by XLA."""
