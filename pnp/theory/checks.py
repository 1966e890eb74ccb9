"""Arguments that cannot be right, refused where their values can be seen."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pnp.tracing import is_traced

NEUTRALITY = 1e-6
"""A solution counts as neutral while |Σ z c| is below this fraction of Σ |z| c: rounded concentrations pass."""


def per_ion(valence, **quantities) -> tuple[Array, ...]:
    """`valence` and the quantities as float arrays; ValueError unless the last axis of each is that of the ions."""
    valence = jnp.asarray(valence, float)
    if valence.ndim != 1:
        raise ValueError(f"valence has the shape [ion], not {valence.shape}")
    arrays = [jnp.asarray(quantity, float) for quantity in quantities.values()]
    for name, array in zip(quantities, arrays, strict=True):
        if array.shape[-1:] != valence.shape:
            raise ValueError(f"{name} has the shape [..., ion] with {valence.size} ions, not {array.shape}")
    return valence, *arrays


def refuse_unless(condition, message: str, *arguments):
    """ValueError with `message` unless condition(*arguments) holds throughout; no opinion on values unknown."""
    if not is_traced(*arguments) and not np.all(condition(*map(np.asarray, arguments))):
        raise ValueError(message)


def neutral(valence, **solutions) -> tuple[Array, ...]:
    """As `per_ion`, and ValueError unless Σ z c = 0 in every solution."""
    arrays = per_ion(valence, **solutions)
    balanced = lambda c, z: np.abs((c * z).sum(-1)) <= NEUTRALITY * (c * np.abs(z)).sum(-1)
    for name, solution in solutions.items():
        refuse_unless(balanced, f"{name} is not electroneutral: Σ z c must be 0", solution, valence)
    return arrays


def refuse_unless_binary(valence):
    """ValueError unless there are exactly two ions, of opposite signs."""
    binary = lambda z: z.shape == (2,) and z[0] * z[1] < 0
    refuse_unless(binary, f"this law holds for one salt, a cation and an anion, not for valences {valence}", valence)
