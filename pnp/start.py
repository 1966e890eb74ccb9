"""Where Newton begins: baths blended along the pore, fixed charge balanced at every node."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pnp.assembly import Problem
from pnp.laws import Element, concentration
from pnp.newton import Start

_HALVINGS = 16  # of some 120 kT/e: a thousandth is enough to begin with


def donnan_start(elements: Element, valence, bath) -> tuple[Start, Array]:
    """Donnan start: baths blended along the pore, the fixed charge balanced at every node.

    Also the flux that kT/e would drive through the pore so filled.
    """
    neutral = 1 / (elements.conductance @ valence**2)  # resistance at equal concentrations
    blend = _fall(neutral)[:, None]
    mixed = blend * bath[0] + (1 - blend) * bath[1]  # neutral, as both baths are
    volume = by_node(elements.volume, 0.0)
    excess = (by_node(elements.excess, 0.0) * volume[..., None]).sum(1) / volume.sum(1)[:, None]
    fixed = by_node(elements.charge, 0.0).sum(1) / volume.sum(1)
    phi = jax.vmap(_donnan, in_axes=(0, 0, 0, None))(mixed, excess, fixed, valence)
    log_mixed = jnp.log(mixed)
    filled = concentration(phi[:, None], log_mixed, valence, excess)
    # mu of the start carries no z phi: in equilibrium mu = ln c(bath), whatever phi is.
    direct = jnp.concatenate([phi[:, None], log_mixed], axis=1)
    easy = jnp.concatenate([jnp.zeros_like(phi)[:, None], log_mixed], axis=1)
    mobile = (filled[:-1] + filled[1:]) / 2
    resistance = 1 / ((elements.conductance * mobile) @ valence**2)
    return Start(direct, easy, _fall(resistance)), 1 / resistance.sum()


def _fall(resistance):
    """1 … 0 along the nodes, as the potential over these resistances in series."""
    passed = jnp.concatenate([jnp.zeros(1), jnp.cumsum(resistance)])
    return 1 - passed / passed[-1]


def _donnan(mixed, excess, fixed, valence):
    """phi (kT/e) at which Σ z c exp(−z phi − mu_ex) + rho = 0 at one node, to a start's accuracy.

    The sum falls with phi, so halving an interval cannot fail. (Not optimistix.Bisection: its check of
    the interval is a host callback, which keeps compiled programs out of JAX's cache.)
    """
    log_mixed = jnp.log(mixed)

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2
        positive = valence @ concentration(middle, log_mixed, valence, excess) + fixed > 0
        return jnp.where(positive, middle, low), jnp.where(positive, high, middle)

    bound = 60.0 + jnp.max(jnp.abs(excess))
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (-bound, bound))
    return (low + high) / 2


def prolonged(rough, coarse: Problem, fine: Problem):
    """A coarse solution as a guess for the fine mesh: halfway between neighbours."""
    absolute = rough.at[:, 1:].add(coarse.reference)
    middle = (absolute[1:] + absolute[:-1]) / 2
    both = jnp.stack([absolute[:-1], middle], axis=1).reshape(-1, absolute.shape[1])
    both = jnp.concatenate([both, absolute[-1:]])
    return both.at[:, 1:].add(-fine.reference)


def by_node(halves, outside):
    """[element, 2, …] (left end, right end) as [node, 2, …] (from the left, from the right)."""
    pad = jnp.full_like(halves[:1, 0], outside)
    return jnp.stack([jnp.concatenate([pad, halves[:, 1]]), jnp.concatenate([halves[:, 0], pad])], axis=1)
