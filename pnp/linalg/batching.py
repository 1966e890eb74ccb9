"""Many cases side by side, as the last axis of every array.

`jax.vmap` puts a batch wherever it likes, mostly first. The elimination runs over nodes one after the
other and is fast only if the cases lie next to each other in memory, so the numerics are written for an
explicit last axis, the lane, and `over_batch` turns `vmap` into more lanes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir


def batch_size(arguments: Any) -> int:
    """How many cases there are in arrays [..., lane], of which some may have one lane that stands for all."""
    (lanes,) = jnp.broadcast_shapes(*(leaf.shape[-1:] for leaf in jax.tree.leaves(arguments)))
    return lanes


def over_batch(native: Callable, shaped: Callable | None = None) -> Callable:
    """`native` for one case, whose `vmap` calls `native` once with all cases as lanes.

    native: takes and returns pytrees of arrays [..., lane]; a lane axis of 1 among the arguments
    stands for all lanes; the results have them all. The function returned has no lane axis, and no derivatives.
    shaped: what `jax.eval_shape` would say of `native`, if that is known without looking.

    `native` is traced when it is known how many lanes there are (unless `shaped` is left to be found out), not once
    more for each `vmap` on the way to there: for Newton's loop that is half of what starting up takes.
    """
    shaped = shaped or partial(jax.eval_shape, native)
    primitive = Primitive(getattr(native, "__name__", "lanes"))
    primitive.multiple_results = True

    def flat(*leaves, structure):
        return jax.tree.leaves(native(*jax.tree.unflatten(structure, leaves)))

    def results(leaves, structure) -> Any:
        arguments = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        return shaped(*jax.tree.unflatten(structure, arguments))

    def batched(leaves, axes, *, structure):
        size = next(leaf.shape[axis] for leaf, axis in zip(leaves, axes, strict=True) if axis is not None)
        leaves = [
            leaf if axis is None else jnp.moveaxis(leaf, axis, -1) for leaf, axis in zip(leaves, axes, strict=True)
        ]  # with an axis: [..., lane, case]
        lanes = [leaf.shape[-1 if axis is None else -2] for leaf, axis in zip(leaves, axes, strict=True)]
        count = max(lanes)  # all 1 but for one value at most

        def together(leaf, axis, own):
            if axis is None and own == 1:
                return leaf
            leaf = leaf[..., None] if axis is None else leaf
            return jnp.broadcast_to(leaf, (*leaf.shape[:-2], count, size)).reshape(*leaf.shape[:-2], count * size)

        found = primitive.bind(*map(together, leaves, axes, lanes), structure=structure)
        return [value.reshape(*value.shape[:-1], count, size) for value in found], [value.ndim for value in found]

    primitive.def_impl(jax.jit(flat, static_argnames="structure"))
    primitive.def_abstract_eval(
        lambda *leaves, structure: [
            jax.core.ShapedArray(one.shape, one.dtype) for one in jax.tree.leaves(results(leaves, structure))
        ]
    )
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(flat, multiple_results=True))

    def alone(*arguments):
        leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: jnp.asarray(leaf)[..., None], arguments))
        found = primitive.bind(*leaves, structure=structure)
        return jax.tree.unflatten(jax.tree.structure(results(leaves, structure)), [value[..., 0] for value in found])

    return alone
