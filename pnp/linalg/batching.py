"""Many cases at once, as the last axis of every array.

`jax.vmap` puts a batch axis wherever it likes, mostly first. Elimination runs over nodes one after the other and is
fast only if the cases lie next to each other in memory, so the numerics are written for an explicit last axis, the
batch, and `over_batch` lets `vmap` add to it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir


def batch_size(arguments: Any) -> int:
    """The size of the batch in a tree of arrays [..., batch]; an axis of size 1 stands for all cases."""
    (size,) = jnp.broadcast_shapes(*(leaf.shape[-1:] for leaf in jax.tree.leaves(arguments)))
    return size


def over_batch(native: Callable, shaped: Callable | None = None) -> Callable:
    """A function for one case whose `vmap` calls `native` once with all cases.

    - native: takes and returns trees of arrays [..., batch]. Among the arguments a batch axis of size 1 stands for all
      cases; the results have it in full.
    - shaped: the same as `jax.eval_shape` of `native`, if the shapes of the results are known without tracing it.

    The function returned takes and returns arrays without the batch axis, and has no derivatives. `native` is traced
    once the size of the batch is known (with `shaped`), not again for each `vmap` on the way: for Newton's loop that
    saves half of the time of a first call.
    """
    shaped = shaped or partial(jax.eval_shape, native)
    primitive = Primitive(getattr(native, "__name__", "batched"))
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
        ]  # with an axis: [..., batch, case]
        sizes = [leaf.shape[-1 if axis is None else -2] for leaf, axis in zip(leaves, axes, strict=True)]
        count = max(sizes)  # each of them is this or 1

        def together(leaf, axis, own):
            if axis is None and own == 1:
                return leaf
            leaf = leaf[..., None] if axis is None else leaf
            return jnp.broadcast_to(leaf, (*leaf.shape[:-2], count, size)).reshape(*leaf.shape[:-2], count * size)

        found = primitive.bind(*map(together, leaves, axes, sizes), structure=structure)
        return [value.reshape(*value.shape[:-1], count, size) for value in found], [value.ndim for value in found]

    primitive.def_impl(jax.jit(flat, static_argnames="structure"))
    primitive.def_abstract_eval(
        lambda *leaves, structure: [
            jax.core.ShapedArray(one.shape, one.dtype) for one in jax.tree.leaves(results(leaves, structure))
        ]
    )
    batching.primitive_batchers[primitive] = batched
    mlir.register_lowering(primitive, mlir.lower_fun(flat, multiple_results=True))

    def one_case(*arguments):
        leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: jnp.asarray(leaf)[..., None], arguments))
        found = primitive.bind(*leaves, structure=structure)
        return jax.tree.unflatten(jax.tree.structure(results(leaves, structure)), [value[..., 0] for value in found])

    return one_case
