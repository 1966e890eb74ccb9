"""Cases of one dimension: the axial scheme."""
