"""Initial guesses for Newton: baths blended along the pore, fixed charge neutralised at every node (Donnan)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.finite_volume.fluxes import Element, composition
from pnp.finite_volume.problem import MeshSolution, Problem
from pnp.theory.roots import bracketed_root

_HALVINGS = 16  # of some 120 kT/e: a guess needs a thousandth


class InitialGuess(NamedTuple):
    """Where Newton and its continuation begin: phi and absolute mu (kT) per node."""

    full: Float[Array, "unknown *#place"]
    """For the whole problem at the voltage `voltage`."""
    first: Float[Array, "unknown *#place"]
    """For the problem in which continuation begins, see `continued`."""
    voltage_profile: Float[Array, "*#place"]
    """Fraction of a change of voltage found at each node, 1 inside and 0 outside."""
    progress: Float[Array, "*#batch"]
    """Where continuation begins: 0, without fixed charge; or 0.5, with all of it."""
    voltage: Float[Array, "*#batch"]
    """Voltage of the first half of the continuation, kT/e."""


def guess_from(solution: MeshSolution, guess: InitialGuess) -> InitialGuess:
    """A solution as the guess for another voltage; `guess` is the one it was found from."""
    known = solution.absolute
    voltage = solution.problem.voltage
    return InitialGuess(known, known, guess.voltage_profile, jnp.full_like(voltage, 0.5), voltage)


def continued(problem: Problem, guess: InitialGuess, progress) -> Problem:
    """The problem part of the way of a continuation: charge grows over the first half, voltage over the second."""
    charge = jnp.minimum(2 * progress, 1.0)
    return Problem(
        problem.elements,
        problem.valence,
        problem.log_activity,
        continued_voltage(problem, guess, progress),
        charge,
        problem.activity,
        problem.scheme,
    )


def continued_voltage(problem: Problem, guess: InitialGuess, progress):
    """Voltage part of the way of a continuation, kT/e."""
    fraction = jnp.maximum(2 * progress - 1, 0.0)
    return problem.voltage * fraction + guess.voltage * (1 - fraction)


def donnan_guess(elements: Element, valence, bath, activity: ActivityCoefficients) -> tuple[InitialGuess, Array]:
    """The Donnan guess, and the flux that kT/e would drive through the pore so filled (mM nm³/ns).

    - elements: of the axial mesh.
    - valence: [ion]. bath: concentrations inside and outside, [2, ion], mM.
    """
    neutral = 1 / (valence**2 @ elements.conductance)  # resistance at equal concentrations
    blend = _potential_fall(neutral)
    mixed = blend * bath[0][:, None] + (1 - blend) * bath[1][:, None]  # neutral, as both baths are
    at_nodes = lambda ends: by_node(ends, 0.0).sum(0)
    volume = at_nodes(elements.volume)
    energy = at_nodes(elements.position_energy * elements.volume[:, None]) / volume
    log_mixed = jnp.log(activity.activity(list(mixed), valence))
    charge = at_nodes(elements.charge) / volume
    phi = _donnan_potential(log_mixed, energy, valence, activity, charge)
    filled = jnp.stack(composition(phi, log_mixed, energy, valence, activity)[1])
    # mu of the guess carries no z phi: in equilibrium mu = ln a(bath), whatever phi is.
    full = jnp.concatenate([phi[None], log_mixed])
    uncharged = jnp.concatenate([jnp.zeros_like(phi)[None], log_mixed])
    mobile = (filled[:, :-1] + filled[:, 1:]) / 2
    resistance = 1 / (valence**2 @ (elements.conductance * mobile))
    none = jnp.zeros(())
    return InitialGuess(full, uncharged, _potential_fall(resistance), none, none), 1 / resistance.sum()


def _potential_fall(resistance):
    """1 … 0 along the nodes, as the potential over these resistances in series."""
    passed = jnp.concatenate([jnp.zeros(1), jnp.cumsum(resistance)])
    return 1 - passed / passed[-1]


def _donnan_potential(log_activity, energy, valence, activity: ActivityCoefficients, charge):
    """phi (kT/e) at which Σ z c(phi) + rho = 0 at every node, to a guess's accuracy.

    The sum falls with phi. Where ions of finite size cannot balance the charge at any phi, it is the end of the
    interval.
    """
    bound = 60.0 + jnp.max(jnp.abs(energy), axis=0)
    terms = log_activity, energy, valence, activity, charge
    return bracketed_root(_net_charge, -bound, bound, terms, iterations=_HALVINGS)


def _net_charge(phi, terms):
    """Mobile and fixed charge per volume, mM."""
    log_activity, energy, valence, activity, charge = terms
    _, concentration = composition(phi, log_activity, energy, valence, activity)
    return sum(z * c for z, c in zip(valence, concentration, strict=True)) + charge


def prolongate(coarse: MeshSolution, fine: Problem) -> Float[Array, "unknown *fine_place"]:
    """A coarse solution as a guess for the mesh twice as fine: the mean halfway between neighbours."""
    guess = coarse.absolute
    for axis in range(1, guess.ndim):
        guess = with_midpoints(guess, axis)
    return fine.relative(guess)


def restrict(fine: MeshSolution, coarse: Problem) -> Float[Array, "unknown *coarse_place"]:
    """A solution as a guess for the mesh half as fine, whose nodes are every other one."""
    guess = fine.absolute
    return coarse.relative(guess[(slice(None), *[slice(None, None, 2)] * (guess.ndim - 1))])


def with_midpoints(values: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Values at the nodes of a mesh, and between each two of them along an axis their mean."""
    values = jnp.moveaxis(values, axis, -1)
    between = (values[..., 1:] + values[..., :-1]) / 2
    both = jnp.stack([values[..., :-1], between], axis=-1).reshape(*values.shape[:-1], -1)
    return jnp.moveaxis(jnp.concatenate([both, values[..., -1:]], axis=-1), -1, axis)


def by_node(ends: Float[Array, "2 ... element"], outside: float) -> Float[Array, "2 ... node"]:
    """What each node sees of the element to its left and of that to its right; `outside` beyond the two baths."""
    pad = jnp.full_like(ends[0, ..., :1], outside)
    return jnp.stack([jnp.concatenate([pad, ends[1]], axis=-1), jnp.concatenate([ends[0], pad], axis=-1)])
