"""JAX's trace of a local law, translated into instructions for vector registers (`llvm.Lanes`).

XLA runs an elementwise law as many passes over arrays, through memory; as straight code it stays in registers. Only
arithmetic and the exponential functions that the laws of PNP are made of have a translation. A loop has none
(`UntranslatableError`).

exp and expm1 reduce x = k ln 2 + r, |r| ≤ ln 2 / 2, take eʳ − 1 by its Taylor series to r¹⁴, and make powers of two
from their bits, in two halves so that neither overflows before the result does (Cody & Waite 1980, Software Manual for
the Elementary Functions). The error is about one unit in the last place (`tests/linalg/test_jaxpr.py`).
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from pnp.linalg._cpu.llvm import Lanes

_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # so few bits that its product with k is exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_SMALLEST, _LARGEST = -746.0, 710.0  # e^x is zero and infinity beyond
_ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of √½
_TAYLOR = [1 / math.factorial(n) for n in range(14, 1, -1)]


class UntranslatableError(Exception):
    """Something in a law has no translation; the message names it, mostly a primitive of JAX."""


def translate(traced: ClosedJaxpr, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a traced function of registers.

    - arguments: arrays of objects, which are `Lanes` or plain numbers; the results are alike.

    Raises UntranslatableError.
    """
    return _run(traced.jaxpr, [np.asarray(const) for const in traced.consts], arguments)


def _run(jaxpr, consts, arguments):
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], map(_objects, [*consts, *arguments]), strict=True))
    of = lambda atom: _objects(np.asarray(atom.val)) if isinstance(atom, Literal) else known[atom]
    for equation in jaxpr.eqns:
        name, operands = equation.primitive.name, [of(atom) for atom in equation.invars]
        inner = next((equation.params[key] for key in ("jaxpr", "call_jaxpr") if key in equation.params), None)
        if name in ("jit", "pjit", "closed_call", "custom_jvp_call"):
            results = _run(inner.jaxpr, inner.consts, operands)
        elif name in _EACH:
            results = [_each(_EACH[name], *operands)]
        elif name == "unstack":  # the only one with several results
            results = [np.asarray(one, object) for one in np.moveaxis(operands[0], equation.params["axis"], 0)]
        elif name in _SHAPED:
            results = [_SHAPED[name](equation.params, *operands)]
        else:
            raise UntranslatableError(name)
        known.update(zip(equation.outvars, results, strict=True))
    return [of(atom) for atom in jaxpr.outvars]


def _objects(values) -> np.ndarray:
    return values if values.dtype == object else np.vectorize(lambda v: v, otypes=[object])(values)


def _each(function: Callable, *operands) -> np.ndarray:
    return _objects(np.asarray(np.frompyfunc(function, len(operands), 1)(*operands), dtype=object))


# --- one number or register at a time; plain numbers are computed while translating ------------------


def _multiplied(a, b):
    if isinstance(a, Lanes) != isinstance(b, Lanes):
        number, register = (b, a) if isinstance(a, Lanes) else (a, b)
        # Derivatives are full of zeros and ones. (Infinity times the constant zero, NaN in JAX, is zero here.)
        if number in (0.0, 1.0):
            return 0.0 if number == 0.0 else register
    return a * b


def _added(a, b):
    if isinstance(b, Lanes) and not isinstance(a, Lanes):
        a, b = b, a
    return a if isinstance(a, Lanes) and not isinstance(b, Lanes) and b == 0.0 else a + b


def _power(a, exponent):
    power = reduce(_multiplied, [a] * abs(exponent), 1.0)
    return power if exponent >= 0 else 1.0 / power


def _comparison(predicate: str, plain: Callable) -> Callable:
    def compare(a, b):
        if not isinstance(a, Lanes) and not isinstance(b, Lanes):
            return plain(a, b)
        first, second = (a, b) if isinstance(a, Lanes) else (b.like(a), b)
        return first.written(f"fcmp {predicate}", second, item="i1")

    return compare


def _selected(which, if_false, if_true):
    if not isinstance(which, Lanes):
        return if_true if which else if_false
    some = next((v for v in (if_false, if_true) if isinstance(v, Lanes)), None)
    like = some.like if some is not None else Lanes(which.code, which.width, "").like
    true, false = (v if isinstance(v, Lanes) else like(v) for v in (if_true, if_false))
    text = f"select {which.kind} {which.register}, {true.kind} {true.register}, {false.kind} {false.register}"
    return Lanes(which.code, which.width, which.code.value(text), true.item)


def _two_to(k: Lanes) -> Lanes:
    """2^k for whole k from −1022 to 1023: the exponent's bits. k + 1.5 · 2⁵² has k in its lowest bits."""
    bits = (k + 1.5 * 2.0**52).converted("bitcast", "i64")
    return _bits(_bits(bits, "add", 1023), "shl", 52).converted("bitcast", "double")


def _reduced(x: Lanes):
    """(eʳ − 1, 2^half, rest) of x = (half + rest) ln 2 + r."""
    # minnum and maxnum would swallow a NaN; the comparison below keeps it.
    inside = _selected(x.written("fcmp olt", _SMALLEST, item="i1"), x, _SMALLEST)
    inside = _selected(inside.written("fcmp ogt", _LARGEST, item="i1"), inside, _LARGEST)
    k = (inside * (1 / math.log(2))).called("rint")
    half = (k * 0.5).called("floor")
    r = (inside - k * _LN2_HIGH) - k * _LN2_LOW
    series = reduce(lambda s, coefficient: s * r + coefficient, _TAYLOR[1:], r * 0.0 + _TAYLOR[0])
    return r + r * r * series, _two_to(half), k - half


def _exp(x):
    if not isinstance(x, Lanes):
        return math.exp(x)
    less_one, scale, rest = _reduced(x)
    return (less_one + 1.0) * scale * _two_to(rest)


def _expm1(x):
    if not isinstance(x, Lanes):
        return math.expm1(x)
    less_one, scale, rest = _reduced(x)
    return (less_one * scale + (scale - _two_to(-rest))) * _two_to(rest)


def _bits(x: Lanes, operation: str, number: int) -> Lanes:
    return x.written(operation, Lanes(x.code, x.width, f"<{', '.join([f'i64 {number}'] * x.width)}>", "i64"))


def _log(x):
    if not isinstance(x, Lanes):
        return math.log(x)
    # x = 2^k m with m from √½ to √2: k is what the exponent is above that of √½.
    above = _bits(x.converted("bitcast", "i64"), "sub", _ROOT_HALF)
    k = _bits(above, "ashr", 52)
    m = _bits(_bits(above, "and", (1 << 52) - 1), "add", _ROOT_HALF).converted("bitcast", "double")
    k = k.converted("sitofp", "double")
    # ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …)
    s = (m - 1.0) / (m + 1.0)
    s2 = s * s
    series = reduce(lambda sum_, n: sum_ * s2 + 2 / n, range(21, 1, -2), s2 * 0.0 + 2 / 23)
    value = k * _LN2_HIGH + (k * _LN2_LOW + (s * s2 * series + 2.0 * s))
    positive = x.written("fcmp ogt", 0.0, item="i1")
    other = _selected(x.written("fcmp oeq", 0.0, item="i1"), math.nan, -math.inf)
    finite = x.written("fcmp olt", math.inf, item="i1")
    return _selected(positive, other, _selected(finite, x, value))


def _log1p(x):
    if not isinstance(x, Lanes):
        return math.log1p(x)
    whole = x + 1.0  # its rounding error is corrected to first order
    return _log(whole) + (x - (whole - 1.0)) / whole


def _absolute(x):
    return x.called("fabs") if isinstance(x, Lanes) else abs(x)


def _root(x):
    return x.called("sqrt") if isinstance(x, Lanes) else math.sqrt(x)


def _either(predicate: str, plain: Callable) -> Callable:
    compare = _comparison(predicate, plain)
    return lambda a, b: _selected(compare(a, b), b, a)


def _number(x):
    if isinstance(x, Lanes):
        return x.converted("uitofp", "double") if x.item == "i1" else x
    return float(x)


_EACH: dict[str, Callable] = {
    "add": _added,
    "add_any": _added,
    "sub": lambda a, b: a if isinstance(a, Lanes) and not isinstance(b, Lanes) and b == 0.0 else a - b,
    "mul": _multiplied,
    "div": lambda a, b: a / b,
    "neg": operator.neg,
    "abs": _absolute,
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _root,
    "eq": _comparison("oeq", operator.eq),
    "ne": _comparison("une", operator.ne),
    "lt": _comparison("olt", operator.lt),
    "le": _comparison("ole", operator.le),
    "gt": _comparison("ogt", operator.gt),
    "ge": _comparison("oge", operator.ge),
    "max": _either("ogt", operator.gt),
    "min": _either("olt", operator.lt),
    "select_n": _selected,
    "stop_gradient": lambda x: x,
    "copy": lambda x: x,
}


def _converted(params, x):
    if params["new_dtype"] != np.float64:
        raise UntranslatableError(f"conversion to {params['new_dtype']}")
    return _each(_number, x)


def _broadcast(params, x):
    shape = [1] * len(params["shape"])
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = size
    return np.broadcast_to(x.reshape(shape), params["shape"])


def _sliced(params, x):
    strides = params["strides"] or (1,) * x.ndim
    cuts = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return x[tuple(slice(*cut) for cut in cuts)]


_SHAPED: dict[str, Callable] = {
    "integer_pow": lambda params, x: _each(lambda a: _power(a, params["y"]), x),
    "convert_element_type": _converted,
    "broadcast_in_dim": _broadcast,
    "slice": _sliced,
    "squeeze": lambda params, x: np.squeeze(x, axis=tuple(params["dimensions"])),
    "reshape": lambda params, x: x.reshape(params["new_sizes"]),
    "stack": lambda params, *x: np.stack(x, axis=params["axis"]),
    "concatenate": lambda params, *x: np.concatenate(x, axis=params["dimension"]),
}
