"""A local law at many places, each by itself."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx

from pnp.linalg import _cpu
from pnp.linalg.dispatch import dispatch_by_platform


def map_pointwise(function: Callable, arguments: Sequence[Any], place: tuple[int, ...]) -> Any:
    """Evaluate a law at every place.

    - function: arithmetic of trees of arrays [*items, *place]; it has to give the same for trees of [*items] at one
      place alone, and to be the same object in every call, so that it is traced once.
    - arguments: the trees. An axis of a place has size 1 where nothing depends on it.
    - place: the shape of the places, e.g. (slab, cell, batch).

    Returns a tree of arrays [*items, *place]. On CPUs a compiled loop evaluates it, if the law can be translated
    (`pnp.linalg._cpu`); on other platforms, and for derivatives of any order, it is called on arrays.
    """
    return _mapped(tuple(arguments), function=function, place=place)


@eqx.filter_custom_jvp
def _mapped(arguments, *, function, place):
    compiled = _cpu.map_pointwise(function, arguments, place)
    return dispatch_by_platform({"cpu": compiled}, function, *arguments)


@_mapped.def_jvp
def _mapped_jvp(primals, tangents, *, function, place):
    return eqx.filter_jvp(lambda arguments: function(*arguments), primals, tangents)
