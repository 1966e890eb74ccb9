"""Ions settled in a given potential: in one dimension their steady state is a sum of resistances."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp.finite_volume.axial.assembly import TwoSided, element_ends, resistances
from pnp.finite_volume.fluxes import resistance
from pnp.finite_volume.problem import Problem, expand_to_elements
from pnp.linalg._cpu.jaxpr import translate
from pnp.linalg._cpu.xla_ffi import Block, Part, call, handler, law, target, traced_law
from pnp.linalg.block_tridiagonal import dispatch_by_platform

_SMALLEST = 1e-300  # of what a logarithm is taken of: a share of next to nothing may underflow
_HIGHEST = 700.0  # kT, of which an exponential is taken


def solve_nernst_planck(problem: Problem, unknowns: TwoSided) -> tuple[TwoSided, Float[Array, "ion element arm lane"]]:
    """The unknowns with the ions in the steady state they have in the potential given, and the flux of each from the
    near to the far ends of the elements, which is the same in all of an arm; exact for point ions.

    e^mu = e^mu_near · (1 − r) + e^mu_far · r at a node that has the share r of the resistance between it and the bath
    its arm begins in, and mu_near is what mu is counted from.
    """
    baths = _baths(problem)
    compiled = _compiled_for(problem, baths, unknowns)
    ways = {} if compiled is None else {"cpu": partial(_by_kernel, compiled)}
    mu, flux = dispatch_by_platform(ways, _by_arrays, problem, baths, unknowns)
    # The middle node is counted from the outside bath's mu in both arms.
    mu = mu.at[:, -1, 0].add(-baths.rise[:, 0, 0])
    return unknowns.at[1:, 1:].set(mu), flux


class _Baths(NamedTuple):
    near: Float[Array, "ion 1 arm lane"]
    """mu in the bath that an arm comes from, kT."""
    rise: Float[Array, "ion 1 arm lane"]
    """How much higher it is in the one that the arm leads to."""


def _baths(problem: Problem) -> _Baths:
    inside, outside = (jnp.stack(mu)[:, None, None] for mu in problem.bath_mu)
    arms = lambda *both: jnp.concatenate(jnp.broadcast_arrays(*both), axis=-2)
    return _Baths(arms(inside, outside), arms(outside - inside, inside - outside))


def _mean(before, beyond, inverse, rise):
    """mu − mu_near between resistances to the near and to the far bath whose mu is higher by `rise`; `inverse` is one
    over their sum. Next to nothing keeps its digits: they are what drives an ion to a barrier."""
    share = before * inverse
    up = share * jnp.expm1(jnp.minimum(rise, _HIGHEST))
    above = jnp.maximum(rise, 0.0)
    mean = beyond * inverse * jnp.exp(-above) + share * jnp.exp(rise - above)
    small = jnp.abs(up) < 0.5
    # ln(1 + up) as up · ln(x) / (x − 1) with x = 1 + up rounded (Kahan), so that one logarithm serves both.
    x = jnp.where(small, 1 + up, jnp.maximum(mean, _SMALLEST))
    logarithm, excess = jnp.log(x), x - 1
    near = jnp.where(excess == 0, up, up * logarithm / jnp.where(excess == 0, 1.0, excess))
    return jnp.where(small, near, above + logarithm)


def _through(near, rise, inverse, highest):
    """The flux, where `inverse` is one over the sum of resistances in units of e^`highest`."""
    return -jnp.expm1(jnp.minimum(rise, _HIGHEST)) * jnp.exp(near - highest) * inverse


def _by_arrays(problem: Problem, baths: _Baths, unknowns: TwoSided):
    each, highest = resistances(problem, *element_ends(unknowns))
    before = jnp.cumsum(each, axis=1)
    ahead = jnp.cumsum(each[:, ::-1], axis=1)[:, ::-1]
    beyond = jnp.concatenate([ahead[:, 1:], jnp.zeros_like(ahead[:, :1])], axis=1) + ahead[:, :1, ::-1]
    inverse = 1 / ahead[:, :1].sum(2, keepdims=True)
    flux = _through(*baths, inverse, highest)
    return [_mean(before, beyond, inverse, baths.rise), jnp.broadcast_to(flux, each.shape)]


# --- by a compiled loop --------------------------------------------------------------------------


def _arguments(problem: Problem, baths: _Baths, unknowns: TwoSided):
    """Of the laws."""
    return expand_to_elements(problem), unknowns, unknowns, baths


def _resistance_law(problem, near, far, baths):
    heights, factors = problem.apply(resistance, list(near), list(far))
    return [*heights, *factors]


def _baths_law(problem, near, far, baths):
    return [*baths.near, *baths.rise]


def _compiled_for(problem: Problem, baths: _Baths, unknowns: TwoSided) -> str | None:
    ions, arguments = len(baths.rise), _arguments(problem, baths, unknowns)
    laws = [traced_law(one, arguments, (None, 0, 1, None))[0] for one in (_resistance_law, _baths_law)]
    write = lambda wide: [
        *(law(name, wide, of) for name, of in zip(("resistance", "baths"), laws, strict=True)),
        _block(ions, wide),
        handler(wide, len(laws[0].operands), 2),
    ]
    return target("settle", " ".join(map(str, laws)), unknowns.shape[-1], write)


def _by_kernel(name: str, problem: Problem, baths: _Baths, unknowns: TwoSided):
    m, nodes, _, lanes = unknowns.shape
    operands = jax.tree.leaves(_arguments(problem, baths, unknowns))
    return call(name, [m - 1, m - 1], 2 * (m - 1), nodes - 1, lanes, operands)


@cache
def _pieces():
    """What is done with resistances besides adding them up, as JAX traces it."""
    scalar = jax.ShapeDtypeStruct((), float)
    weighed = lambda height, factor, highest: jnp.exp(height - highest) * factor
    counts = {weighed: 3, jnp.maximum: 2, _mean: 4, _through: 4}
    return [jax.make_jaxpr(one)(*[scalar] * count) for one, count in counts.items()]


def _block(ions: int, wide: int) -> Part:
    """`_by_arrays` for a block of lanes: three passes over both arms."""
    block, arms = Block(wide, 2), range(2)
    code, load, store = block.code, block.load, block.store
    resistance_at, baths_at = block.law("resistance", 2 * ions), block.law("baths", 2 * ions)

    def do(traced, *values):
        (result,) = translate(traced, [np.array(value, object) for value in values])
        return result.item()

    weighed, higher, mean, through = (partial(do, traced) for traced in _pieces())

    def slots(element, arm):
        """Heights, later what is beyond the node; factors, later resistances."""
        places = block.kept(2 * ions, element, arm)
        return places[:ions], places[ions:]

    highest, totals, sums = block.room(ions), [block.room(ions) for _ in arms], block.room(ions)

    for place in highest:
        store(block.number(-np.inf), place)
    with code.loop("first", "0", "sle %last", "1") as element:
        for arm in arms:
            found = resistance_at(element, arm)
            heights, factors = slots(element, arm)
            for value, place in zip(found, [*heights, *factors], strict=True):
                store(value, place)
            for value, place in zip(found, highest, strict=False):
                store(higher(load(place), value), place)

    for place in (*totals[0], *totals[1]):
        store(block.number(0.0), place)
    with code.loop("second", "%last", "sge 0", "-1") as element:
        for arm in arms:
            heights, factors = slots(element, arm)
            for height, factor, top, total in zip(heights, factors, highest, totals[arm], strict=True):
                one, beyond = weighed(load(height), load(factor), load(top)), load(total)
                store(one, factor)
                store(beyond, height)
                store(beyond + one, total)

    inverses = [1.0 / (load(a) + load(b)) for a, b in zip(*totals, strict=True)]
    for arm in arms:
        baths = baths_at("0", arm)
        near, rise = baths[:ions], baths[ions:]
        flux = [through(*of) for of in zip(near, rise, inverses, map(load, highest), strict=True)]
        for place in sums:
            store(block.number(0.0), place)
        with code.loop(f"third{arm}", "0", "sle %last", "1") as element:
            beyond, own = slots(element, arm)
            mus, fluxes = (block.result(which, ions, element, arm) for which in range(2))
            for k in range(ions):
                before = load(sums[k]) + load(own[k])
                store(before, sums[k])
                further = load(beyond[k]) + load(totals[1 - arm][k])
                store(mean(before, further, inverses[k], rise[k]), mus[k])
                store(flux[k], fluxes[k])
    return block.function()
