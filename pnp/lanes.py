"""Many cases side by side, as the last axis of every array.

`jax.vmap` puts a batch wherever it likes, mostly first. The elimination runs over nodes one after the
other and is fast only if the cases lie next to each other in memory, so the numerics are written for an
explicit last axis, the lane, and `over_lanes` turns `vmap` into more lanes.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp


def over_lanes(native: Callable) -> Callable:
    """`native` for one case, whose `vmap` calls `native` once with all cases as lanes.

    native: takes and returns pytrees of arrays [..., lane]; a lane axis of 1 among the arguments
    stands for all lanes; the results have them all. The function returned has no lane axis.
    """

    traced_once = jax.jit(native, inline=True)  # for both of the traces that vmap and derivatives ask for

    @jax.custom_batching.custom_vmap
    def with_lanes(*arguments):
        return traced_once(*arguments)

    @with_lanes.def_vmap
    def _(size, batched, *arguments):
        leaves, structure = jax.tree.flatten(arguments)
        flags = jax.tree.leaves(batched)
        count = math.prod({leaf.shape[-1] for leaf in leaves})  # all 1 but for one value at most

        def merged(leaf, is_batched):
            if not is_batched and leaf.shape[-1] == 1:
                return leaf
            leaf = jnp.moveaxis(leaf, 0, -1) if is_batched else jnp.broadcast_to(leaf[..., None], (*leaf.shape, size))
            return jnp.broadcast_to(leaf, (*leaf.shape[:-2], count, size)).reshape(*leaf.shape[:-2], count * size)

        result = with_lanes(*jax.tree.unflatten(structure, map(merged, leaves, flags)))
        split = lambda leaf: jnp.moveaxis(leaf.reshape(*leaf.shape[:-1], count, size), -1, 0)
        return jax.tree.map(split, result), jax.tree.map(lambda _: True, result)

    def alone(*arguments):
        result = with_lanes(*jax.tree.map(lambda leaf: leaf[..., None], arguments))
        return jax.tree.map(lambda leaf: leaf[..., 0], result)

    return alone
