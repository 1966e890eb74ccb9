"""The solver against what is known of it: `python -m validation`.

One module per case, each with a docstring that says what is compared and why, a `SOURCE` and a function `run`.
"""

CASES = {
    "verification": (
        "equilibrium",
        "nernst",
        "ghk",
        "ghk_to_planck",
        "mixed_valence",
        "tms",
        "donnan",
        "gouy_chapman",
        "bikerman",
        "davies",
        "dielectrics",
        "born",
        "limiting_current",
        "bipolar",
        "access",
        "constant_field",
        "manufactured",
        "plane_debye_hueckel",
        "plane_poisson_boltzmann",
        "plane_driven",
        "plane_orifice",
        "plane_manufactured",
        "plane_access",
        "plane_surface_conduction",
        "plane_constant_field",
        "plane_equilibrium",
    ),
    "properties": ("conservation", "derivative", "plane_line"),
    "independent program": ("bvp",),
    "experiment": ("experiment", "permeability_ratios"),
}
"""The cases by kind, in the order of the table: closed forms, properties, other programs and measurements."""
