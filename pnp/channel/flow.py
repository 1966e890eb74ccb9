"""How much current the water would carry that charged walls drag along: what the equations leave out."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pnp import units
from pnp.channel.channel import Channel
from pnp.theory.electroosmosis import electroosmotic_share

WORTH_SAYING = 0.05
"""Share of the current above which `flow_warning` has something to say."""

_ALONG = np.linspace(1e-9, 1 - 1e-9, 4001)  # from mouth to mouth; charges of a whole pore are not at its very ends
_PARTS = 64  # of equal resistance in salt water, each with a cross-section


@eqx.filter_jit
def convected_share(channel: Channel) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """(share of the pore, largest share of a cross-section, where that is in nm) of current carried by flowing water.

    Each cross-section counts as one of a long cylinder of its radius and fixed charge, which is taken to be on the
    wall, in the bath of which the share is larger (`theory.electroosmotic_share`); that of the pore is their mean,
    weighted by the resistance of the cross-sections in salt water.
    """
    pore = channel.pore
    fine = pore.start + (pore.end - pore.start) * _ALONG
    resistance = 1 / channel.area(fine)
    passed = jnp.cumsum(jnp.append(0.0, (resistance[1:] + resistance[:-1]) / 2))
    middle = jnp.interp((np.arange(_PARTS) + 0.5) / _PARTS * passed[-1], passed, fine)
    x = jnp.concatenate([fine[:1], middle, fine[-1:]])
    radius = jnp.sqrt(channel.area(x) / jnp.pi)
    charge = channel.line_charge(x) / (2 * jnp.pi * radius) / units.CHARGE_DENSITY_PER_SURFACE_CHARGE
    share = electroosmotic_share(
        radius,
        charge,
        channel.bath_concentration[:, None],
        channel.valence,
        channel.bath_diffusivity,
        channel.bath_permittivity,
        channel.temperature,
    ).max(0)
    return share[1:-1].mean(), share.max(), x[share.argmax()]


def flow_warning(channel: Channel) -> str | None:
    """What to say about a channel with known numbers whose current is carried by flowing water to a part; or None."""
    if not channel.pore.charge:
        return None
    share, largest, at = (float(each) for each in convected_share(channel))
    if not share > WORTH_SAYING:  # nor if it is not a number, as of a closed pore
        return None
    most = f" (up to {100 * largest:.2g} % at x = {round(at, 3) + 0.0:g} nm)" if largest > 1.1 * share else ""
    return (
        f"charged walls drag water along, which would carry {100 * share:.2g} % of the current besides{most}, by the "
        "formula of a long cylinder; these equations have none of it"
    )
