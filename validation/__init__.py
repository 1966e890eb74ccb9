"""The solver against what is known of it: `python -m validation`.

One module per case, each with a docstring that says what is compared and why, a `SOURCE` and a function `run`.
"""

CASES = {
    "verification": (
        "one_dimension.equilibrium",
        "one_dimension.nernst",
        "one_dimension.ghk",
        "one_dimension.ghk_to_planck",
        "one_dimension.mixed_valence",
        "one_dimension.tms",
        "one_dimension.donnan",
        "one_dimension.gouy_chapman",
        "one_dimension.bikerman",
        "one_dimension.davies",
        "one_dimension.dielectrics",
        "one_dimension.born",
        "one_dimension.limiting_current",
        "one_dimension.bipolar",
        "one_dimension.access",
        "one_dimension.constant_field",
        "one_dimension.manufactured",
        "axisymmetric.debye_hueckel",
        "axisymmetric.poisson_boltzmann",
        "axisymmetric.driven",
        "axisymmetric.orifice",
        "axisymmetric.manufactured",
        "axisymmetric.access",
        "axisymmetric.surface_conduction",
        "axisymmetric.constant_field",
        "axisymmetric.equilibrium",
    ),
    "properties": ("one_dimension.conservation", "one_dimension.derivative", "axisymmetric.against_axial"),
    "independent program": ("one_dimension.bvp",),
    "experiment": ("one_dimension.experiment", "one_dimension.permeability_ratios"),
}
"""Modules of the cases, by kind and in the order of the table."""
