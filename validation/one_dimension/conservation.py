"""What every pore must do: conserve each ion, keep concentrations positive, and turn round with its ends.

Twelve pores drawn at random (seed 0), six with KCl and six with four ions: layers of 0.5 to 5 nm, areas and
permittivities over a factor of ten, fixed charges of ±3 M and baths from 1 to 1000 mM. In the steady state the flux of
each ion is the same at every x; c > 0, as c = exp(μ − zφ) must be; and a pore turned round, its layers and baths in
reverse order, has the current −I(−V), on a mesh that is the mirror image.

Round-off of 1e-15 in μ is all that may be left, times what an element conducts. An element of the best conducting layer
(area, diffusivity and charge together 1000 times those of the worst, or more) conducts some 10⁶ times better than the
whole pore, which makes 1e-9 of the ohmic current; and the flux of one ion may be ten times the net current.
"""

import numpy as np

import pnp
from validation.case import Check, Result
from validation.channels import FOUR_IONS, NODES, SALT, VOLTAGES, four_ions, layers

SOURCE = "∇·J = 0, and the symmetry of the equations under x → −x."

PORES = 6  # of each kind
ROUND_OFF = 1e-8


def run() -> Result:
    """The worst of twelve pores at eleven voltages, in each property."""
    random = np.random.default_rng(0)
    uneven, turned, unsolved, curves, lowest = [], [], 0, [], []
    for ions in (SALT, FOUR_IONS):
        for _ in range(PORES):
            pore, mirrored = _pair(random, ions)
            curve, other = (
                pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES)) for channel in (pore, mirrored)
            )
            current = np.asarray(curve.current)
            uneven.append(float(curve.conservation_error.max()))
            turned.append(float(np.abs(current + other.current[::-1]).max() / np.abs(current).max()))
            unsolved += int((~curve.converged).sum() + (~other.converged).sum())
            curves.append(current / np.abs(current).max())
            if ions is SALT:
                lowest += [
                    float(pnp.solve(pore, v, discretization=pnp.Axial(NODES)).concentration.min()) for v in (-100, 100)
                ]
    checks = [
        Check("voltages without a solution", "", unsolved, 0, 0),
        Check("largest |ΔI|/|I| along x", "", max(uneven), 0.0, ROUND_OFF),
        Check("largest |I(V) + I turned(−V)| / |I|", "", max(turned), 0.0, ROUND_OFF),
        Check("profiles with a concentration not positive", "", sum(not c > 0 for c in lowest), 0, 0),
    ]
    return Result(
        checks,
        lambda figure: draw(figure, curves, uneven, turned),
        f"All hold to round-off; the lowest concentration of the KCl pores is {min(lowest):.1e} mM. By construction: "
        "fluxes leave one volume and enter the next, and the unknown is the logarithm.",
    )


def _pair(random, ions):
    """A random pore and the same turned round."""
    between = lambda low, high, n: np.exp(random.uniform(np.log(low), np.log(high), n))
    lengths = between(0.5, 5.0, 3)
    properties = {
        "area": between(0.3, 3.0, 3),
        "permittivity": between(8.0, 80.0, 3),
        "fixed_charge": random.uniform(-3.0, 3.0, 3),
        "diffusivity_factor": between(0.1, 1.0, 3),
    }
    turned = {name: value[::-1] for name, value in properties.items()}
    if ions is SALT:
        baths = list(between(1.0, 1000.0, 2))
        return layers(lengths, *baths, **properties), layers(lengths[::-1], *baths[::-1], **turned)
    baths = [between(1.0, 300.0, 3) for _ in range(2)]
    return four_ions(lengths, *baths, **properties), four_ions(lengths[::-1], *baths[::-1], **turned)


def draw(figure, curves, uneven, turned):
    """The curves, each scaled, and what is left of conservation and reflection."""
    left, right = figure.subplots(1, 2)
    for k, current in enumerate(curves):
        left.plot(VOLTAGES, current, color="C0" if k < PORES else "C1", lw=1, label=_label(k))
    left.set(xlabel="voltage, mV", ylabel="current / largest current")
    left.legend(fontsize="small")
    number = np.arange(1, len(curves) + 1)
    right.semilogy(number, uneven, "o", label="|ΔI|/|I| along x")
    right.semilogy(number, turned, "x", label="|I(V) + I turned(−V)| / |I|")
    right.axhline(ROUND_OFF, color="k", ls=":", label="tolerance")
    right.set(xlabel="pore", xticks=number, ylim=(1e-14, 1e-6))
    right.legend(fontsize="small")


def _label(k):
    return {0: "KCl", PORES: "K⁺, Na⁺, Ca²⁺, Cl⁻"}.get(k)
