"""Ready-made channels, as data: one TOML file each, installed as `pnp.geometries`."""
