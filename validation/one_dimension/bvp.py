"""An independent program: a charged pore between baths of four ions, by `scipy.integrate.solve_bvp`.

SciPy's side is written here from the equations, with SciPy's constants, other unknowns and another method:

    φ' = G/(ε A),  G' = −A (Σ z c + X) F/ε₀ · e/kT,  (ln c)' = −J/(D A c) − z φ',  J unknown constants

by collocation of fourth order to 1e-8, where PNP has finite volumes extrapolated from two meshes. Area, fixed charge
and permittivity are straight lines between kinks, which are points of all meshes. K⁺, Na⁺, Ca²⁺ and Cl⁻ differ in
the baths, and no symmetry is left. Nothing is approximated on either side, so the currents must agree to 1e-6.
"""

from itertools import pairwise

import numpy as np
from scipy import constants
from scipy.integrate import solve_bvp

import pnp
from validation.case import Check, Result
from validation.channels import FOUR_IONS, NODES, VOLTAGES, fine_reversal, four_ions

SOURCE = "Kierzenka & Shampine (2001), ACM Trans. Math. Softw. 27:299, for solve_bvp's method."

LENGTHS = [1.5, 2.0, 1.5]  # nm
EDGES = np.concatenate([[0.0], np.cumsum(LENGTHS)])
AREA, CHARGE, PERMITTIVITY = [3.0, 0.8, 1.0, 2.0], [0.0, -1.0, -0.6, 0.0], [78.4, 40.0, 50.0, 78.4]  # at EDGES
INSIDE, OUTSIDE = [130.0, 15.0, 0.1], [5.0, 130.0, 5.0]  # K, Na, Ca; mM
TEMPERATURE, TOLERANCE = 298.15, 1e-8
THERMAL = 1e3 * constants.k * TEMPERATURE / constants.e  # mV


def run() -> Result:
    """Currents at eleven voltages, the reversal potential and the profile at 100 mV."""
    ends = {"area": AREA, "fixed_charge": CHARGE, "permittivity": PERMITTIVITY}
    twice = {name: np.repeat(value, 2)[1:-1] for name, value in ends.items()}  # seen from both sides of each kink
    channel = four_ions(LENGTHS, INSIDE, OUTSIDE, temperature=TEMPERATURE, **twice)
    curve = pnp.iv_curve(channel, VOLTAGES, discretization=pnp.Axial(NODES))
    meshes = [*np.asarray(curve.mesh_current.T)[1:], np.asarray(curve.current)]

    problem = Collocation()
    exact, found = problem.curve(VOLTAGES)
    nearest = VOLTAGES[np.argmin(np.abs(exact))]
    reversal = problem.reversal(nearest, found[nearest])
    errors = [np.abs(current - exact).max() / np.abs(exact).max() for current in meshes]
    checks = [
        Check("current at 100 mV", "pA", meshes[2][-1], exact[-1], 1e-6, errors[2], relative=True),
        # The fine mesh alone: the elements of 0.25 λ/4 at the kinks are worth 1e-3/12.
        Check(f"current at 100 mV, {NODES} elements", "pA", meshes[1][-1], exact[-1], 1e-4, errors[1], True,
              (NODES / 2, NODES), tuple(errors[:2]), 2.0),
        Check("reversal", "mV", fine_reversal(channel, reversal), reversal, 1e-6 * THERMAL),
    ]  # fmt: skip
    return Result(
        checks,
        lambda figure: draw(figure, exact, meshes[2], found[VOLTAGES[-1]]),
        f"Two programs that share no line agree to {errors[2]:.0e} of the largest current over eleven voltages; the "
        "finite volumes of one mesh, not extrapolated, come as near as their second order lets them.",
    )


class Collocation:
    """The pore for solve_bvp: y = (φ, G, ln c …) with φ in kT/e and c in mM, p = J in mM nm³/ns."""

    def __init__(self):
        self.z, self.D = np.array([(ion.valence, float(ion.diffusivity)) for ion in FOUR_IONS.values()]).T
        with_chloride = lambda bath: np.array([*bath, bath[0] + bath[1] + 2 * bath[2]])
        self.ends = np.log(with_chloride(INSIDE)), np.log(with_chloride(OUTSIDE))
        faraday = constants.e * constants.N_A
        self.screening = constants.epsilon_0 * 1e-3 * THERMAL / (faraday * 1e-18)  # mM nm²
        self.picoamperes = faraday * 1e-6 * self.z  # 1e-27 m³ × 1e9 /s × 1e12 pA

    def solve(self, voltage, guess, tolerance=TOLERANCE):
        """solve_bvp's result at a voltage in mV, from a guess (x, y, p)."""
        ends = lambda a, b, p: np.concatenate(
            [[a[0] - voltage / THERMAL, b[0]], a[2:] - self.ends[0], b[2:] - self.ends[1]]
        )
        solution = solve_bvp(self.rates, ends, *guess, tol=tolerance, max_nodes=50_000)
        if not solution.success:
            raise RuntimeError(f"solve_bvp at {voltage:g} mV: {solution.message}")
        return solution

    def moved(self, solution, change):
        """A guess from a solution at a voltage `change` (mV) lower, on the first mesh: SciPy's only grow."""
        x = first_mesh()
        y = solution.sol(x)
        y[0] += change / THERMAL * (1 - x / EDGES[-1])
        return x, y, solution.p

    def rates(self, x, y, p):
        """dy/dx, [unknown, point]."""
        area, charge, permittivity = (np.interp(x, EDGES, value) for value in (AREA, CHARGE, PERMITTIVITY))
        c = np.exp(y[2:])
        field = y[1] / (permittivity * area)
        source = -area * (self.z @ c + 1e3 * charge) / self.screening
        return np.vstack([field, source, -(p / self.D)[:, None] / (area * c) - self.z[:, None] * field])

    def rest(self):
        """The solution at 0 mV: from blended baths, in which a potential balances the fixed charge, in two steps."""
        x = first_mesh()
        s = x / EDGES[-1]
        log_c = np.outer(self.ends[0], 1 - s) + np.outer(self.ends[1], s)
        phi = np.arcsinh(1e3 * np.interp(x, EDGES, CHARGE) / np.exp(log_c).sum(0))
        field = np.interp(x, EDGES, AREA) * np.interp(x, EDGES, PERMITTIVITY) * np.gradient(phi, x)
        rough = self.solve(0.0, (x, np.vstack([phi, field, log_c - np.outer(self.z, phi)]), 0 * self.z), 1e-3)
        return self.solve(0.0, self.moved(rough, 0.0))

    def curve(self, voltages):
        """Currents (pA) from 0 mV outwards, each solved from the last; and the solutions."""
        found = {0.0: self.rest()}
        for side in (voltages[voltages > 0], voltages[voltages < 0][::-1]):
            at = 0.0
            for voltage in side:
                found[voltage] = self.solve(voltage, self.moved(found[at], voltage - at))
                at = voltage
        return np.array([self.picoamperes @ found[voltage].p for voltage in voltages]), found

    def reversal(self, voltage, solution):
        """The voltage (mV) of zero current, by the secant rule from a solution at a voltage nearby."""
        step, current = 1.0, self.picoamperes @ solution.p
        while abs(step) > 1e-7:
            solution = self.solve(voltage + step, self.moved(solution, step))
            voltage, last, current = voltage + step, current, self.picoamperes @ solution.p
            step *= current / (last - current)
        return voltage + step


def first_mesh():
    """Closer towards the kinks, which are points of it, and so of every mesh that SciPy makes of it."""
    share = (1 - np.cos(np.linspace(0, np.pi, 101))) / 2
    return np.unique(np.concatenate([a + (b - a) * share for a, b in pairwise(EDGES)]))


def draw(figure, exact, current, profile):
    """Both curves, and their difference; the concentrations at 100 mV as solve_bvp has them."""
    left, right = figure.subplots(1, 2)
    left.plot(VOLTAGES, exact, label="solve_bvp")
    left.plot(VOLTAGES, current, "o", mfc="none", label="PNP, extrapolated")
    left.plot(VOLTAGES, 1e8 * (current - exact), "x-", lw=0.8, label="difference, 10⁻⁸ pA")
    left.set(xlabel="voltage, mV", ylabel="current, pA")
    for name, values in zip(FOUR_IONS, profile.y[2:], strict=True):
        right.semilogy(profile.x, np.exp(values), label=name)
    right.set(xlabel="x, nm", ylabel=f"concentration at {VOLTAGES[-1]:g} mV, mM")
    for ax in (left, right):
        ax.legend(fontsize="small")
