"""Synthetic measurements of known channels."""

import numpy as np
import pytest

import pnp
from pnp import theory
from pnp.fit import IVData
from tests.conftest import make_charged

VOLTAGE = np.linspace(-80, 80, 9)
BATHS = ((100.0, 100.0), (400.0, 100.0), (100.0, 400.0))
PERMEABILITY = {"K": 0.4, "Cl": 0.1}
NODES = 64


def bath(inside, outside):
    """Keywords of data in KCl."""
    return {"inside": {"K": inside, "Cl": inside}, "outside": {"K": outside, "Cl": outside}}


def ghk_data(sd=0.2, seed=0, baths=BATHS, known=True):
    """Currents through PERMEABILITY in a constant field, with noise; sd in pA."""
    rng = np.random.default_rng(seed)
    p = np.array([PERMEABILITY["K"], PERMEABILITY["Cl"]])
    sets = []
    for a, b in baths:
        current = np.asarray(theory.ghk_current(VOLTAGE[:, None], np.full(2, a), np.full(2, b), p, np.array([1, -1])))
        measured = current.sum(-1) + sd * rng.normal(size=VOLTAGE.size)
        sets.append(
            IVData(VOLTAGE, measured, np.full(VOLTAGE.size, sd) if known else None, **bath(a, b), label=f"{a:g}|{b:g}")
        )
    return sets


@pytest.fixture(scope="session")
def channel():
    """Its ions and baths are those of the data."""
    return make_charged(inside=100.0, outside=100.0)


@pytest.fixture(scope="session")
def pnp_data(channel):
    """Currents of that channel, with noise of 1 % of the largest."""
    rng = np.random.default_rng(3)
    sets = []
    for a, b in BATHS:
        current = np.asarray(
            pnp.iv_curve(channel.with_baths(**bath(a, b)), VOLTAGE, discretization=pnp.Axial(NODES)).current
        )
        sd = 0.01 * np.abs(current).max()
        measured = current + sd * rng.normal(size=current.size)
        sets.append(IVData(VOLTAGE, measured, np.full(current.size, sd), **bath(a, b), label=f"{a:g}|{b:g}"))
    return sets
