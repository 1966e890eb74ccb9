"""Units, constants and the symbols of the equations; everything else refers to this table.

| word in the API     | symbol  | unit                | inside the solver                     |
|---------------------|---------|---------------------|---------------------------------------|
| length              | x       | nm                  | nm                                    |
| potential, voltage  | phi, V  | mV                  | kT/e, about 25.7 mV at 25 °C          |
| concentration       | c       | mM (= mol/m³)       | mM                                    |
| fixed volume charge | rho     | M (mol e per litre) | mM                                    |
| line charge         | q       | e/nm                | mM nm²                                |
| surface charge      | sigma   | C/m²                | mM nm                                 |
| diffusivity         | D       | nm²/ns (1e-9 m²/s)  | nm²/ns                                |
| electrochemical pot.| mu      | kT                  | kT, with ln c taken of c/(1 mM)       |
| excess potential    | mu_ex   | kT                  | kT (a potential of mean force is one) |
| current             | I       | pA                  | mM nm³/ns                             |
| conductance         | G       | nS (= pA/mV)        |                                       |
| temperature         | T       | K                   |                                       |

The axis x runs from inside (intracellular, cis) to outside. The voltage is
V = phi(inside) − phi(outside) with the outside grounded, and current is positive outward
(along +x), so that Nernst, GHK and V − E keep their textbook signs.

Constants: CODATA 2022 (Mohr et al., 2025, Rev. Mod. Phys. 97:025002); the first three are exact
in the SI.
"""

ELEMENTARY_CHARGE = 1.602176634e-19
"""e, C (exact)."""
BOLTZMANN = 1.380649e-23
"""k, J/K (exact)."""
AVOGADRO = 6.02214076e23
"""N_A, 1/mol (exact)."""
VACUUM_PERMITTIVITY = 8.8541878188e-12
"""ε₀, F/m."""

FARADAY = ELEMENTARY_CHARGE * AVOGADRO
"""F = e N_A, C/mol."""
GAS_CONSTANT = BOLTZMANN * AVOGADRO
"""R = k N_A, J/(mol K)."""

ROOM_TEMPERATURE = 298.15
"""25 °C in K, at which the built-in diffusivities hold."""

CURRENT_PER_FLUX = FARADAY * 1e-27 / 1e-9 * 1e12
"""pA carried by 1 mM nm³/ns of a monovalent cation: F · 1 mol/m³ · (1 nm)³ / 1 ns."""
MILLIMOLAR_PER_CHARGE_DENSITY = 1e27 / AVOGADRO
"""mM in one elementary charge per nm³."""
CHARGE_DENSITY_PER_SURFACE_CHARGE = 1e-18 / ELEMENTARY_CHARGE
"""e/nm² in 1 C/m²."""


def thermal_voltage(temperature):
    """kT/e in mV at `temperature` in K: the unit of potential inside the solver."""
    return 1e3 * BOLTZMANN * temperature / ELEMENTARY_CHARGE


def permittivity_scale(temperature):
    """ε₀ (kT/e) / (F · 1 nm²) in mM.

    Gauss's law in the solver's units reads `permittivity_scale · ∇·(ε ∇phi) = −(Σ z c + rho)` with
    lengths in nm, phi in kT/e and concentrations in mM.
    """
    volts = 1e-3 * thermal_voltage(temperature)
    return VACUUM_PERMITTIVITY * volts / (FARADAY * 1e-18)
