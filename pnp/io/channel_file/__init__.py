"""Channel files: TOML in, a `Channel` out, or every mistake at once."""
