"""Permeability ratios of Slc26a9 from its reversal potentials, against those that were published with them.

Walter, Sawicka & Dutzler measured patches between 150 mM NaCl outside and 150 mM of the sodium salt of another anion
inside, and calculated P_X/P_Cl by GHK. Fitted here by `pnp.fit` to the table of potentials as `pnp fit` reads it, all
ratios at once, with their P_Na/P_Cl of 0.02. Computed is the fitted ratio, "exact" the published one, rounded to two
digits there and averaged over patches: 5 % between the two are expected of that and of the temperature, which is not
stated and taken as 22 °C.
"""

from pathlib import Path

import numpy as np

import pnp
from pnp.fit import fit, read_csv
from validation.case import Check, Result

SOURCE = "Walter, Sawicka & Dutzler (2019) eLife 8:e46986, Table 2 and Fig. 1"
DATA = Path(__file__).parents[2] / "docs" / "data"
PUBLISHED = {"SCN": 7.5, "I": 2.9, "Br": 2.4, "NO3": 1.5}


def run() -> Result:
    """One fit of four ratios to five potentials."""
    channel, data = pnp.load(DATA / "slc26a9.toml"), read_csv(DATA / "slc26a9.csv")
    free = [f"permeability.{ion}/Cl" for ion in PUBLISHED]
    found = fit(channel, [data], free, model="ghk", fixed={"permeability.Na/Cl": 0.02}, starts=4)
    checks = [
        Check(f"P_{ion}/P_Cl", "", found.values[f"permeability.{ion}/Cl"], ratio, 0.05, relative=True)
        for ion, ratio in PUBLISHED.items()
    ]
    checks.append(Check("chi2 of five potentials, 1 mV each", "", found.chi2, 0.0, 1.0))
    conclusion = (
        "The ratios come out as published, to the digits that were printed. Each rests on one potential, so that an "
        "error of 1 mV is one of 4 % of a ratio, whatever its size."
    )
    return Result(checks, lambda figure: draw(figure, found), conclusion)


def draw(figure, found):
    """Fitted ratios with their intervals beside the published ones."""
    ax = figure.add_subplot()
    at = np.arange(len(PUBLISHED))
    estimates = [found.parameters[f"permeability.{ion}/Cl"] for ion in PUBLISHED]
    value = np.array([e.value for e in estimates])
    reach = np.array([[e.value - e.low, e.high - e.value] for e in estimates]).T
    ax.errorbar(at, value, reach, fmt="o", color="C0", mfc="none", capsize=4, label="fitted, 95 % for 1 mV")
    ax.plot(at, list(PUBLISHED.values()), "_", color="k", ms=24, label="published")
    ax.set_xticks(at, list(PUBLISHED))
    ax.set(ylabel="P / P_Cl", yscale="log", xlim=(-0.5, len(at) - 0.5))
    ax.legend()
