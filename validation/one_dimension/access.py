"""Hall's access resistance: an uncharged cylinder between two baths, from a hole in a film to a long pore.

    G = π a² σ / (L + π a/2)

Between equal baths nothing is charged, PNP is Ohm's law, and the bath in front of a mouth is a cap of area
A(d) = 2π(a² + d²), whose resistance from the mouth to infinity is exactly Hall's 1/(4σa). The mesh follows it
for 400 radii, and its last element from there to infinity. It makes no error, since it joins resistors in series.

In three dimensions a mouth with a pore behind it is no equipotential: the end of a long pore has 0.2615/(σa) (King),
so that Hall's formula, and PNP in one dimension with it, is a little too conductive. The picture shows how much.
"""

import equinox as eqx
import numpy as np

import pnp
from pnp import theory
from validation.case import Check, Result

SOURCE = "Hall (1975) J. Gen. Physiol. 66:531; King (1936) Phil. Mag. 21:128; Maxwell, Treatise, 1873, §§306–309"
RADIUS = 1.0  # nm, of the preset
VISCOSITY = {25: 0.8903, 37: 0.6917}  # mPa s, of water: the formula of Korson et al. (1969) J. Phys. Chem. 73:34
LENGTHS = np.array([0.01, 0.1, 1.0, 10.0, 100.0])  # nm


def run() -> Result:
    """One ready-made pore, its length changed over four decades."""
    pore = pnp.load("uncharged-cylinder")
    bath = np.asarray(pore.bath_concentration)[0]
    diffusivity = np.array([pore.ions[name].diffusivity for name in pore.ion_names])
    sigma = float(theory.conductivity(bath, diffusivity, pore.valence))
    channels = [eqx.tree_at(lambda c: c.pore.end, pore, length) for length in map(np.asarray, LENGTHS)]
    computed = np.array([float(pnp.conductance(c, discretization=pnp.Axial(200))) for c in channels])
    hall = np.asarray(theory.pore_conductance(RADIUS, LENGTHS, sigma))
    checks = []
    for length, found, exact in zip(LENGTHS, computed, hall, strict=True):
        # What the integral of 1/A on Gauss points leaves, on 100 and 200 elements that span five decades of distance.
        checks.append(Check(f"conductance, L = {length:g} a", "nS", found, exact, 1e-8, relative=True))
    cold, warm = (
        float(pnp.conductance(pnp.load("uncharged-cylinder", overrides={"temperature": t}))) for t in (298.15, 310.15)
    )
    ratio = VISCOSITY[25] / VISCOSITY[37]  # of D/T, to which the conductance is proportional
    checks.append(Check("conductance at 37 °C / at 25 °C", "", warm / cold, ratio, 2e-3, relative=True))
    king = 1 / (LENGTHS / (np.pi * RADIUS**2 * sigma) + 2 * 0.2615 / (sigma * RADIUS))
    conclusion = (
        "From a hole to a long pore PNP's conductance in one dimension is Hall's. Both are too high for three "
        "dimensions once the pore has a length: by "
        f"{100 * (hall[3] / king[3] - 1):.1f} % at L = 10 a, and less the longer it is."
    )
    return Result(checks, lambda figure: draw(figure, computed, hall, sigma), conclusion)


def draw(figure, computed, hall, sigma):
    """G(L), and its ratio to Hall's formula."""
    whole, ratio = figure.subplots(1, 2)
    fine = np.geomspace(LENGTHS[0], LENGTHS[-1], 200)
    formula = np.asarray(theory.pore_conductance(RADIUS, fine, sigma))
    whole.loglog(fine, formula, color="C0", label="Hall")
    whole.loglog(fine, np.pi * RADIUS**2 * sigma / fine, "k:", label="without access")
    whole.loglog(LENGTHS, computed, "o", mfc="none", color="C3", label="PNP")
    whole.set(xlabel="L / a", ylabel="conductance, nS", ylim=(0.5 * computed.min(), 10 * computed.max()))
    king = 1 / (fine / (np.pi * RADIUS**2 * sigma) + 2 * 0.2615 / (sigma * RADIUS))
    long = fine >= 2 * RADIUS
    ratio.semilogx(LENGTHS, 100 * (computed / hall - 1), "o-", mfc="none", color="C3", label="PNP")
    ratio.semilogx(fine[long], 100 * (king / formula - 1)[long], "k--", label="long pore in 3D, King")
    ratio.axhline(0.0, color="C0", label="Hall")
    ratio.set(xlabel="L / a", ylabel="conductance against Hall's, %")
    whole.legend()
    ratio.legend()
