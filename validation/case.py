"""What a case returns: checks, the lines of the table, with one picture and a conclusion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Check:
    """One line of the table.

    error: |computed − exact| unless given; divided by |exact| if `relative`. tolerance: on the error;
    None shows the line without a judgement, as of a measurement, of which no agreement is expected.
    sizes, errors: of a study of convergence, the coarsest first: numbers of elements (rising), or a small
    parameter (falling). order: expected of them, so that error ∝ elements^−order or parameter^order.
    """

    quantity: str
    unit: str
    computed: float
    exact: float
    tolerance: float | None
    error: float | None = None
    relative: bool = False
    sizes: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    order: float | None = None
    order_tolerance: float = 0.3

    def __post_init__(self):
        fill = lambda name, value: object.__setattr__(self, name, value)  # of a frozen class
        fill("computed", float(self.computed))
        fill("exact", float(self.exact))
        fill("sizes", tuple(map(float, self.sizes)))
        fill("errors", tuple(map(float, self.errors)))
        if len(self.sizes) != len(self.errors):
            raise ValueError(f"{self.quantity}: {len(self.sizes)} sizes and {len(self.errors)} errors")
        if self.order is not None and len(self.sizes) < 2:
            raise ValueError(f"{self.quantity}: an order needs two sizes at least")
        if self.error is None:
            error = abs(self.computed - self.exact)
            fill("error", error / abs(self.exact) if self.relative else error)
        fill("error", float(self.error))

    @property
    def observed_order(self) -> float | None:
        """Slope of log error against log size by least squares, positive if finer is better; None without a study."""
        if len(self.sizes) < 2:
            return None
        slope = np.polyfit(np.log(self.sizes), np.log(self.errors), 1)[0]
        return float(-slope if self.sizes[-1] > self.sizes[0] else slope)

    @property
    def passed(self) -> bool:
        """Whether the error is within its tolerance and, where one is expected, the order is observed; if there is no
        tolerance, whether there is a number at all."""
        if self.tolerance is None:
            return bool(np.isfinite(self.computed))
        accurate = self.error <= self.tolerance  # False for NaN
        return accurate and (self.order is None or abs(self.observed_order - self.order) <= self.order_tolerance)


@dataclass(frozen=True)
class Result:
    """What `run` returns. draw: fills an empty figure; conclusion: what was seen, and why, in a sentence or two."""

    checks: list[Check]
    draw: "Callable[[Figure], None]"
    conclusion: str

    @property
    def passed(self) -> bool:
        """Whether every check has passed; none at all is no pass."""
        return bool(self.checks) and all(check.passed for check in self.checks)
