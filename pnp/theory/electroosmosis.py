"""Water dragged along a charged pore, which Poisson–Nernst–Planck leaves out, and the current that it carries."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pnp import units
from pnp.theory.checks import neutral
from pnp.theory.double_layer import DISPLACEMENT_PER_SURFACE_CHARGE
from pnp.theory.electrolyte import debye_length

WATER_VISCOSITY = 0.8900
"""Of water at 25 °C, mPa s (Huber et al., 2009, J. Phys. Chem. Ref. Data 38:101)."""

_CELLS = 256  # errors fall with their square: 9e-5 for 5 nm and −0.02 C/m², 8e-4 for 10 µm and −0.3 C/m²
_FINEST = 0.05  # the cell at the wall, in thicknesses of the double layer
_LARGEST_UPDATE = 2.0  # kT/e; from no potential to that of a wall of 1 C/m² in 1 mM takes some ten steps
_MOST_STEPS = 200


def electroosmotic_share(
    radius: ArrayLike,
    surface_charge: ArrayLike,
    concentration: ArrayLike,
    valence: ArrayLike,
    diffusivity: ArrayLike,
    permittivity: ArrayLike,
    temperature: ArrayLike = units.ROOM_TEMPERATURE,
    viscosity: ArrayLike = WATER_VISCOSITY,
) -> Float[Array, "..."]:
    """Current that flowing water carries through a long charged pore, over that of migration in water at rest.

    - radius: a, nm; surface_charge: of the wall, C/m².
    - concentration: of the bath, [..., ion] in mM; valence: [ion]; diffusivity: [ion], nm²/ns.
    - permittivity: relative; temperature: K; viscosity: η, mPa s.

    In an infinite cylinder with a field along it, (ε₀ε/r) d/dr(r dφ/dr) = −ρ with ρ = F Σ z c exp(−zφ e/kT) and
    ε₀ε dφ/dr = σ at the wall; water at rest at the wall moves with u = ε₀ε E (φ − φ_wall) / η (Rice & Whitehead, 1965,
    J. Phys. Chem. 69:4017), so that the share is
    ε₀ε (kT/e) / η · ∫ρ (φ − φ_wall) r dr / ∫F Σ z² D c exp(−zφ e/kT) r dr.
    Solved by finite volumes, to 1e-3 and better; differentiable. Point ions, no slip.

    Raises ValueError for a bath that is not neutral.
    """
    neutral(valence, concentration=concentration)
    z, d = jnp.asarray(valence, float), jnp.asarray(diffusivity, float)
    bath = jnp.asarray(concentration, float)
    layer = debye_length(bath, z, permittivity, temperature)
    shape = jnp.broadcast_shapes(*(np.shape(each) for each in (radius, surface_charge, layer, viscosity)))
    spread = lambda value: jnp.broadcast_to(jnp.asarray(value, float), shape).reshape(-1)
    scale = units.permittivity_scale(temperature) * permittivity
    volts = 1e-3 * units.thermal_voltage(temperature)
    mobility = 1e12 * units.VACUUM_PERMITTIVITY * permittivity * volts**2 / viscosity  # ε₀ε (kT/e)² / η, nm²/ns
    displacement = jnp.asarray(surface_charge, float) * DISPLACEMENT_PER_SURFACE_CHARGE
    baths = jnp.broadcast_to(bath, (*shape, bath.shape[-1])).reshape(-1, bath.shape[-1])
    numbers = tuple(map(spread, (radius, displacement, layer, scale, mobility)))
    case = lambda numbers, bath: _share(numbers, bath, z, d)
    return jax.vmap(case)(numbers, baths).reshape(shape)


class _Cylinder(NamedTuple):
    """Poisson–Boltzmann in a cylinder by finite volumes, rings from the axis to the wall."""

    coupling: Float[Array, " face"]
    """ε₀ε times circumference over distance, between rings, mM."""
    area: Float[Array, " ring"]
    """nm², over 2π."""
    wall: Float[Array, ""]
    """What the wall adds, mM nm²."""
    bath: Float[Array, " ion"]
    valence: Float[Array, " ion"]

    def concentration(self, phi: Float[Array, " ring"]) -> Float[Array, "ring ion"]:
        """mM at potentials in kT/e."""
        return self.bath * jnp.exp(-self.valence * phi[:, None])

    def residual(self, phi: Float[Array, " ring"]) -> Float[Array, " ring"]:
        """Of Poisson's equation, mM nm²."""
        into = jnp.concatenate([self.coupling * jnp.diff(phi), self.wall[None]])
        return jnp.diff(into, prepend=0.0) + self.area * (self.concentration(phi) @ self.valence)

    def update(self, phi: Float[Array, " ring"], residual: Float[Array, " ring"]) -> Float[Array, " ring"]:
        """Newton's step."""
        after, before = jnp.append(self.coupling, 0.0), jnp.insert(self.coupling, 0, 0.0)
        diagonal = -after - before - self.area * (self.concentration(phi) @ self.valence**2)
        return -jax.lax.linalg.tridiagonal_solve(before, diagonal, after, residual[:, None])[:, 0]


def _share(numbers: tuple[Array, ...], bath, valence, diffusivity) -> Float[Array, ""]:
    radius, displacement, layer, scale, mobility = numbers
    faces = _faces(radius, displacement, layer, scale)
    middle = (faces[1:] + faces[:-1]) / 2
    cylinder = _Cylinder(
        coupling=scale * faces[1:-1] / jnp.diff(middle),
        area=jnp.diff(faces**2) / 2,
        wall=radius * displacement,
        bath=bath,
        valence=valence,
    )
    phi = _potential(cylinder)
    # The wall is half a ring beyond the middle of the last one.
    at_wall = phi[-1] + displacement / scale * (faces[-1] - middle[-1])
    density = cylinder.concentration(phi)
    convected = mobility * cylinder.area @ (density @ valence * (phi - at_wall))
    return convected / (cylinder.area @ (density @ (valence**2 * diffusivity)))


def _faces(radius, displacement, layer, scale):
    """Of rings that are thin where the double layer is: of the Debye length, or of the Gouy–Chapman length if less."""
    thickness = jnp.minimum(layer, 2 * scale / jnp.maximum(jnp.abs(displacement), 1e-300))
    finest = jax.lax.stop_gradient(jnp.minimum(_FINEST * thickness / radius, 1 / _CELLS))
    # steepness / sinh(steepness) = finest · cells, by iteration; 0 for equal rings
    steepness = 1.0 - jnp.log(finest)
    for _ in range(20):
        steepness = jnp.arcsinh(steepness / (_CELLS * finest))
    steepness = jnp.maximum(steepness, 1e-3)
    growth = jnp.sinh(steepness * np.arange(_CELLS + 1) / _CELLS) / jnp.sinh(steepness)
    return radius * (1 - growth[::-1])


def _potential(cylinder: _Cylinder) -> Float[Array, " ring"]:
    """kT/e, by Newton's method from 0, whose matrix is definite: the solution is the only one."""

    def newton(residual, phi):
        fixed = jax.lax.stop_gradient(cylinder)

        def step(state):
            phi, _, count = state
            change = fixed.update(phi, residual(phi))
            return phi + jnp.clip(change, -_LARGEST_UPDATE, _LARGEST_UPDATE), jnp.abs(change).max(), count + 1

        unfinished = lambda state: (state[1] > 1e-11) & (state[2] < _MOST_STEPS)
        phi, change, _ = jax.lax.while_loop(unfinished, step, (phi, jnp.array(jnp.inf), 0))
        return jnp.where(change <= 1e-11, phi, jnp.nan)

    dense = lambda linear, y: jnp.linalg.solve(jax.jacobian(linear)(y), y)
    return jax.lax.custom_root(cylinder.residual, jnp.zeros_like(cylinder.area), newton, dense)
