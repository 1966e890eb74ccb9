"""A manufactured solution with area, permittivity, diffusivities and fixed charge all varying: second order.

Choose φ(x), the shape A(x), the dielectric ε(x), both D(x) and both baths. Constant fluxes then follow from
Nernst–Planck by quadrature, and with them the concentrations and the current,

    J = (c₀ e^(zφ₀) − c_L e^(zφ_L)) / ∫ e^(zφ)/(D A) dx,   c(x) = e^(−zφ) (c₀ e^(zφ₀) − J ∫₀ˣ e^(zφ)/(D A) dx')

and the fixed charge that makes Poisson's equation hold is −Σ z c − (ε₀ε A φ')'/A, whose derivatives JAX takes. No
source is typed, and none is added to the solver: the manufactured problem is a pore like any other.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import constants

import pnp
from validation.case import Check, Result
from validation.channels import SALT

SOURCE = "Roache (2002), J. Fluids Eng. 124:4, for the method; the solution is made here."

LENGTH, TEMPERATURE = 4.0, 298.15  # nm, K
INSIDE, OUTSIDE, VOLTAGE = 150.0, 60.0, -50.0  # mM, mM, mV
MESHES = (100, 400)  # each of which solves those of half and a quarter as many elements too
VALENCE = np.array([1.0, -1.0])
FARADAY, THERMAL = constants.e * constants.N_A, constants.k * TEMPERATURE / constants.e
SCREENING = constants.epsilon_0 * THERMAL / (FARADAY * 1e-18)  # ε₀ kT/e in mM nm² per kT/e
POINTS, WEIGHTS = ((np.polynomial.legendre.leggauss(40)[i] + (1 - i)) / 2 for i in (0, 1))


def run() -> Result:
    """The current on four meshes, and both profiles on two."""
    channel = pnp.Channel.from_profiles(
        [0.0, LENGTH],
        area=area,
        fixed_charge=fixed_charge,
        permittivity=permittivity,
        ions=SALT,
        diffusivity={"K": lambda x: diffusivity(x)[0], "Cl": lambda x: diffusivity(x)[1]},
        inside=dict.fromkeys(SALT, INSIDE),
        outside=dict.fromkeys(SALT, OUTSIDE),
        temperature=TEMPERATURE,
    )
    exact = float(FARADAY * 1e-6 * VALENCE @ flux())  # 1e-27 m³ × 1e9 /s × 1e12 pA
    states = [pnp.solve(channel, VOLTAGE, discretization=pnp.Axial(nodes)) for nodes in MESHES]
    currents = [float(value) for state in states for value in state.mesh_current[1:]]
    sizes = tuple(nodes / part for nodes in MESHES for part in (2, 1))
    phi_error = [float(jnp.abs(s.potential - 1e3 * THERMAL * potential(s.x)).max()) for s in states]
    c_error = [float(jnp.abs(s.concentration.T / concentration(s.x) - 1).max()) for s in states]
    # Elements of L/400, against a shortest length of the profiles of L/2π: (h k)²/12 is 2e-5, with room for its factor.
    rough = 5 * (2 * np.pi / MESHES[-1]) ** 2 / 12
    checks = [
        Check("current, one mesh", "pA", currents[-1], exact, rough, relative=True, sizes=sizes,
              errors=tuple(abs(i / exact - 1) for i in currents), order=2.0, order_tolerance=0.1),
        Check("largest error of the potential", "mV", phi_error[-1], 0.0, 1e3 * THERMAL * rough, sizes=MESHES,
              errors=phi_error, order=2.0, order_tolerance=0.1),
        Check("largest relative error of the concentrations", "", c_error[-1], 0.0, rough, sizes=MESHES,
              errors=c_error, order=2.0, order_tolerance=0.1),
        # Third order at least: not quite fourth, as the spacing of a graded mesh is only continuous.
        Check("current", "pA", states[-1].current, exact, rough**1.5, relative=True),
    ]  # fmt: skip
    return Result(
        checks,
        lambda figure: draw(figure, states[-1], checks),
        "Second order, in the current as in the profiles, with everything that can vary varying; the meshes of one "
        "solve together are better by another order at least.",
    )


# --- the problem; x in nm, φ in kT/e ---


def potential(x):
    """φ: the voltage, and a wave on it that ends at zero."""
    s = x / LENGTH
    return 1e-3 * VOLTAGE / THERMAL * (1 - s) + 1.5 * jnp.sin(jnp.pi * s) ** 2 * jnp.cos(2 * s)


def area(x):
    """A, nm²: narrow in the middle."""
    return 1.5 + jnp.cos(2 * jnp.pi * x / LENGTH) + 0.2 * x / LENGTH


def permittivity(x):
    """ε: low where it is narrow, and not symmetric."""
    return 50.0 + 20.0 * jnp.cos(2 * jnp.pi * x / LENGTH + 0.5)


def diffusivity(x):
    """D of K⁺ and of Cl⁻, [ion, ...] in nm²/ns, each with a shape of its own."""
    s = x / LENGTH
    return jnp.stack([1.957 * jnp.exp(-jnp.sin(jnp.pi * s)), 2.032 * (1 - 0.6 * s * (1 - s))])


def _resistance(x):
    """∫₀ˣ e^(zφ)/(D A), [ion, ...], by Gauss's rule of 40 points: to round-off for these profiles."""
    at = jnp.asarray(x)[..., None] * POINTS
    integrand = jnp.exp(jnp.stack([z * potential(at) for z in VALENCE])) / (diffusivity(at) * area(at))
    return (integrand @ WEIGHTS) * x


def flux():
    """J of both ions, mM nm³/ns."""
    start, end = (c * jnp.exp(VALENCE * potential(x)) for c, x in ((INSIDE, 0.0), (OUTSIDE, LENGTH)))
    return (start - end) / _resistance(LENGTH)


def concentration(x):
    """c of both ions, [ion, ...] in mM."""
    along = lambda value: value.reshape(-1, *[1] * jnp.ndim(x))
    start = INSIDE * jnp.exp(VALENCE * potential(0.0))
    return jnp.exp(-along(VALENCE) * potential(x)) * (along(start) - along(flux()) * _resistance(x))


def fixed_charge(x):
    """What Poisson's equation lacks, M."""
    displacement = lambda at: permittivity(at) * area(at) * jax.grad(potential)(at)
    divergence = jax.vmap(jax.grad(displacement))(jnp.ravel(x)).reshape(jnp.shape(x))
    return -1e-3 * (jnp.tensordot(VALENCE, concentration(x), 1) + SCREENING * divergence / area(x))


def draw(figure, state, checks):
    """The profiles, computed and manufactured; the errors against the mesh."""
    left, right = figure.subplots(1, 2)
    x, every = np.asarray(state.x), slice(None, None, 20)
    exact = concentration(x)
    for k, name in enumerate(SALT):
        left.plot(x, exact[k], color=f"C{k}", label=f"{name}, mM")
        left.plot(x[every], state.concentration[every, k], "o", mfc="none", color=f"C{k}")
    left.plot(x, 1e3 * THERMAL * potential(x), color="C2", label="potential, mV")
    left.plot(x[every], state.potential[every], "o", mfc="none", color="C2", label="circles: PNP")
    left.plot(x, 100 * fixed_charge(x), "k:", label="fixed charge, M / 100")
    left.set(xlabel="x, nm", ylim=(-80, 650))
    names = ("current", "potential, mV", "concentrations")
    for name, check in zip(names, checks, strict=False):
        right.loglog(check.sizes, check.errors, ".-", label=name)
    sizes = np.array(checks[0].sizes)
    right.loglog(sizes, checks[0].errors[0] / 2 * (sizes[0] / sizes) ** 2, "k:", label="second order")
    right.set_xticks(sizes, [f"{size:g}" for size in sizes])
    right.minorticks_off()
    right.set(xlabel="elements", ylabel="error (relative, but for mV)")
    for ax in (left, right):
        ax.legend(fontsize="small")
