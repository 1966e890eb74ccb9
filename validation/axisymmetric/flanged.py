"""Ohm's law through a round pore in an insulating slab, by a program of its own: both half-spaces and the pore.

The current density over a mouth is the one that dissipates least, by Rayleigh and Ritz: of what passes through a mouth
of radius 1,

    g(ρ) = Σ b_j (1 − ρ²)^(−1/3) P_j^(−1/3, 0)(1 − 2ρ²)…,   G(k) = ∫ g J₀(kρ) ρ dρ ∝ J_{2j+2/3}(k)/k^{2/3}

with the singularity of a right-angled edge, the half-space dissipates 2π ∫ G² dk and the modes J₀(λ_n ρ) of the pore,
J₁(λ_n) = 0, in its half 2π Σ tanh(λ_n L/2) G(λ_n)² / (λ_n J₀(λ_n)²/2), both per conductivity. Eight j give six digits
for pores longer than a tenth of their radius, five for a thirtieth. For L → ∞ it is Rayleigh's and King's end
correction, for L → 0 the hole's.
"""

import numpy as np
from scipy.special import gamma, jv

TERMS, MODES = 8, 20_000


def access_resistance(length):
    """Of one end, of a pore of that length (both in radii), in 1/(conductivity · radius), from the infinite to the
    cross-section halfway along less the pore's own half; and the part of it that lies outside of the mouth."""
    orders = 2 * np.arange(TERMS) + 2 / 3
    p, q = orders[:, None], orders
    # ∫ J_p J_q k^(−4/3) dk: Weber and Schafheitlin
    s = 4 / 3
    outside = (
        gamma(s) * gamma((p + q - s + 1) / 2) / 2**s
        / gamma((-p + q + s + 1) / 2) / gamma((p + q + s + 1) / 2) / gamma((p - q + s + 1) / 2)
    )  # fmt: skip
    n = np.arange(1, MODES + 1)
    b = (n + 0.25) * np.pi
    roots = b - 3 / (8 * b) + 3 / (128 * b**3) - 1179 / (5120 * b**5)  # of J₁: McMahon
    roots -= jv(1, roots) / jv(0, roots)
    transform = jv(orders[:, None], roots) / roots ** (2 / 3)
    weight = 2 * np.tanh(roots * length / 2) / (roots * jv(0, roots) ** 2)
    inside = (transform * weight) @ transform.T
    # What lies beyond the last mode: J_p J_q → ±1/(πk) on average over the modes, so that terms fall as n^(−7/3).
    tail = np.outer(transform[:, -1], transform[:, -1]) * weight[-1] * MODES * 3 / 4
    first = 0.5 ** (2 / 3) / gamma(5 / 3)  # G(0) of j = 0; of the others it is 0
    inverse = np.linalg.inv(outside + inside + tail)
    b = inverse[0] / (inverse[0, 0] * 2 * np.pi * first)  # of unit current
    total, part = (2 * np.pi * b @ matrix @ b for matrix in (outside + inside + tail, outside))
    return total, part
