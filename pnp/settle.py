"""Ions settled in a given potential: in one dimension their steady state is a sum of resistances."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp.assembly import Arms, Problem, ends, in_elements, resistances
from pnp.ffi import Block, Part, call, handler, law, target, traced_law
from pnp.laws import resistance
from pnp.linear import by_platform
from pnp.translate import translate

_SMALLEST = 1e-300  # of what a logarithm is taken of: a share of next to nothing may underflow
_HIGHEST = 700.0  # kT, of which an exponential is taken


def settled(problem: Problem, unknowns: Arms) -> Arms:
    """The unknowns with the ions in the steady state they have in the potential given; exact for point ions.

    e^mu = e^mu_near · (1 − r) + e^mu_far · r at a node that has the share r of the resistance between it and the bath
    its arm begins in, and mu_near is what mu is counted from.
    """
    rise = _rise(problem)
    compiled = _compiled_for(problem, rise, unknowns)
    ways = {} if compiled is None else {"cpu": partial(_by_kernel, compiled)}
    mu = by_platform(ways, _by_arrays, problem, rise, unknowns)
    # The middle node is counted from the outside bath's mu in both arms.
    mu = mu.at[:, -1, 0].add(-rise[:, 0, 0])
    return unknowns.at[1:, 1:].set(mu)


def _rise(problem: Problem) -> Float[Array, "ion 1 arm lane"]:
    """How much higher mu is in the bath that an arm leads to than in the one it comes from, kT."""
    inside, outside = (jnp.stack(mu)[:, None, None] for mu in problem.bath_mu)
    return jnp.concatenate([outside - inside, inside - outside], axis=-2)


def _mean(before, beyond, inverse, rise):
    """mu − mu_near between resistances to the near and to the far bath whose mu is higher by `rise`; `inverse` is one
    over their sum. Next to nothing keeps its digits: they are what drives an ion to a barrier."""
    share = before * inverse
    up = share * jnp.expm1(jnp.minimum(rise, _HIGHEST))
    small = jnp.abs(up) < 0.5
    above = jnp.maximum(rise, 0.0)
    mean = beyond * inverse * jnp.exp(-above) + share * jnp.exp(rise - above)
    return jnp.where(small, jnp.log1p(jnp.where(small, up, 0.0)), above + jnp.log(jnp.maximum(mean, _SMALLEST)))


def _by_arrays(problem: Problem, rise, unknowns: Arms):
    each = resistances(problem, *ends(unknowns))
    before = jnp.cumsum(each, axis=1)
    ahead = jnp.cumsum(each[:, ::-1], axis=1)[:, ::-1]
    beyond = jnp.concatenate([ahead[:, 1:], jnp.zeros_like(ahead[:, :1])], axis=1) + ahead[:, :1, ::-1]
    return _mean(before, beyond, 1 / ahead[:, :1].sum(2, keepdims=True), rise)


# --- by a compiled loop --------------------------------------------------------------------------


def _arguments(problem: Problem, rise: Float[Array, "ion 1 arm lane"], unknowns: Arms):
    """Of the laws."""
    return in_elements(problem), unknowns, unknowns, rise


def _resistance_law(problem, near, far, rise):
    heights, factors = problem.apply(resistance, list(near), list(far))
    return [*heights, *factors]


def _rise_law(problem, near, far, rise):
    return list(rise)


def _compiled_for(problem: Problem, rise, unknowns: Arms) -> str | None:
    ions, arguments = len(rise), _arguments(problem, rise, unknowns)
    laws = [traced_law(one, arguments, (None, 0, 1, None))[0] for one in (_resistance_law, _rise_law)]
    write = lambda wide: [
        *(law(name, wide, of) for name, of in zip(("resistance", "rise"), laws, strict=True)),
        _block(ions, wide),
        handler(wide, len(laws[0].operands), 1),
    ]
    return target("settle", " ".join(map(str, laws)), unknowns.shape[-1], write)


def _by_kernel(name: str, problem: Problem, rise, unknowns: Arms):
    m, nodes, _, lanes = unknowns.shape
    operands = jax.tree.leaves(_arguments(problem, rise, unknowns))
    (mu,) = call(name, [m - 1], 2 * (m - 1), nodes - 1, lanes, operands)
    return mu


@cache
def _pieces():
    """What is done with resistances besides adding them up, as JAX traces it."""
    scalar = jax.ShapeDtypeStruct((), float)
    weighed = lambda height, factor, highest: jnp.exp(height - highest) * factor
    counts = {weighed: 3, jnp.maximum: 2, _mean: 4}
    return [jax.make_jaxpr(one)(*[scalar] * count) for one, count in counts.items()]


def _block(ions: int, wide: int) -> Part:
    """`_by_arrays` for a block of lanes: three passes over both arms."""
    block, arms = Block(wide, 1), range(2)
    code, load, store = block.code, block.load, block.store
    resistance_at, rise_at = block.law("resistance", 2 * ions), block.law("rise", ions)

    def do(traced, *values):
        (result,) = translate(traced, [np.array(value, object) for value in values])
        return result.item()

    weighed, higher, mean = (partial(do, traced) for traced in _pieces())

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
        for place in sums:
            store(block.number(0.0), place)
        with code.loop(f"third{arm}", "0", "sle %last", "1") as element:
            beyond, own = slots(element, arm)
            rises, written = rise_at(element, arm), block.result(0, ions, element, arm)
            for k in range(ions):
                before = load(sums[k]) + load(own[k])
                store(before, sums[k])
                further = load(beyond[k]) + load(totals[1 - arm][k])
                store(mean(before, further, inverses[k], rises[k]), written[k])
    return block.function()
