"""Writes the computed data of the tutorial: currents of known channels, with noise."""

from pathlib import Path

import numpy as np

import pnp

FOLDER = Path(__file__).parent
TRUTH = {"pore.diffusivity.K": 0.85, "pore.diffusivity.Cl": 1.0, "pore.charge.0.density": -0.33}
CONE = {"pore.charge.0.surface_density": -0.11}  # C/m²


def write(name, description, bath, voltage, current, error):
    """A measurement as CSV, its baths in comments."""
    settings = [f"# {side}.{ion} = {c:g}" for side, c in bath.items() for ion in ("K", "Cl")]
    rows = [f"{v:g},{i:.4g},{e:.4g}" for v, i, e in zip(voltage, current, error, strict=True)]
    lines = [f"# {description}; computed, with noise", *settings, "V_mV,I_pA,I_sd_pA", *rows]
    (FOLDER / name).write_text("\n".join(lines) + "\n", "utf-8")


def main():
    """Three curves of OmpF, one of a conical nanopore."""
    rng = np.random.default_rng(2026)
    voltage = np.linspace(-100, 100, 11)
    for name, inside, outside in (("a", 100.0, 100.0), ("b", 1000.0, 100.0), ("c", 100.0, 1000.0)):
        bath = {"inside": inside, "outside": outside}
        baths = {side: {"K": c, "Cl": c} for side, c in bath.items()}
        channel = pnp.load("ompf", overrides=TRUTH).with_baths(**baths)
        current = np.asarray(pnp.iv_curve(channel, voltage).current)
        error = np.maximum(0.3, 0.02 * np.abs(current))
        noisy = current + error * rng.normal(size=voltage.size)
        write(f"ompf-{name}.csv", f"OmpF monomer, {inside:g} | {outside:g} mM KCl", bath, voltage, noisy, error)
    voltage = np.array([-300.0, -200.0, -100.0, -50.0, 50.0, 100.0, 200.0, 300.0])
    channel = pnp.load("conical-nanopore", overrides=CONE)
    current = np.asarray(pnp.iv_curve(channel, voltage, discretization=pnp.Axisymmetric()).current)
    error = 0.02 * np.abs(current)
    noisy = current + error * rng.normal(size=voltage.size)
    bath = {"inside": 100.0, "outside": 100.0}
    write("conical.csv", "conical nanopore, 100 mM KCl", bath, voltage, noisy, error)


if __name__ == "__main__":
    main()
