"""Where Newton begins: baths blended along the pore, fixed charge balanced at every node."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pnp.channel.activity import ActivityCoefficients
from pnp.finite_volume.axial.assembly import Problem
from pnp.finite_volume.fluxes import Element, composition
from pnp.finite_volume.problem import Start

_HALVINGS = 16  # of some 120 kT/e: a thousandth is enough to begin with


def donnan_guess(elements: Element, valence, bath, excess: ActivityCoefficients) -> tuple[Start, Array]:
    """Donnan start: baths (mM) blended along the pore, the fixed charge balanced at every node.

    Also the flux that kT/e would drive through the pore so filled.
    """
    neutral = 1 / (valence**2 @ elements.conductance)  # resistance at equal concentrations
    blend = _fall(neutral)
    mixed = blend * bath[0][:, None] + (1 - blend) * bath[1][:, None]  # neutral, as both baths are
    at_nodes = lambda ends: by_node(ends, 0.0).sum(0)
    volume = at_nodes(elements.volume)
    fixed = at_nodes(elements.excess * elements.volume[:, None]) / volume
    log_mixed = jnp.log(excess.activity(list(mixed), valence))
    charge = at_nodes(elements.charge) / volume
    phi = _donnan(lambda phi: composition(phi, log_mixed, fixed, valence, excess)[1], valence, charge, fixed)
    filled = jnp.stack(composition(phi, log_mixed, fixed, valence, excess)[1])
    # mu of the start carries no z phi: in equilibrium mu = ln a(bath), whatever phi is.
    direct = jnp.concatenate([phi[None], log_mixed])
    easy = jnp.concatenate([jnp.zeros_like(phi)[None], log_mixed])
    mobile = (filled[:, :-1] + filled[:, 1:]) / 2
    resistance = 1 / (valence**2 @ (elements.conductance * mobile))
    return Start(direct, easy, _fall(resistance)), 1 / resistance.sum()


def _fall(resistance):
    """1 … 0 along the nodes, as the potential over these resistances in series."""
    passed = jnp.concatenate([jnp.zeros(1), jnp.cumsum(resistance)])
    return 1 - passed / passed[-1]


def _donnan(concentration, valence, charge, fixed):
    """phi (kT/e) at which Σ z c(phi) + rho = 0 at every node, to a start's accuracy; c by `concentration`.

    The sum falls with phi, so halving an interval cannot fail. (Not optimistix.Bisection: its check of
    the interval is a host callback, which keeps compiled programs out of JAX's cache.) Where ions of finite size
    cannot balance the charge whatever phi is, it is the end of the interval.
    """

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2
        positive = sum(z * c for z, c in zip(valence, concentration(middle), strict=True)) + charge > 0
        return jnp.where(positive, middle, low), jnp.where(positive, high, middle)

    bound = 60.0 + jnp.max(jnp.abs(fixed), axis=0)
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (-bound, bound))
    return (low + high) / 2


def prolongate(rough, coarse: Problem, fine: Problem):
    """A coarse solution as a guess for the fine mesh: halfway between neighbours."""
    guess = coarse.absolute(rough)
    for axis in range(1, rough.ndim):
        guess = with_midpoints(guess, axis)
    return fine.relative(guess)


def with_midpoints(values: Float[Array, "*node"], axis: int = -1) -> Float[Array, "*fine_node"]:
    """Values at the nodes of a mesh, and between each two of them along an axis their mean."""
    values = jnp.moveaxis(values, axis, -1)
    between = (values[..., 1:] + values[..., :-1]) / 2
    both = jnp.stack([values[..., :-1], between], axis=-1).reshape(*values.shape[:-1], -1)
    return jnp.moveaxis(jnp.concatenate([both, values[..., -1:]], axis=-1), -1, axis)


def by_node(ends, outside):
    """[end, …, element] as [end, …, node]: what each node sees of the element to its left and right."""
    pad = jnp.full_like(ends[0, ..., :1], outside)
    return jnp.stack([jnp.concatenate([pad, ends[1]], axis=-1), jnp.concatenate([ends[0], pad], axis=-1)])
