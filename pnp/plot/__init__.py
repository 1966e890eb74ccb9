"""Pictures of curves, profiles and fields, by matplotlib."""

from pnp.plot.curves import plot_hysteresis as plot_hysteresis
from pnp.plot.curves import plot_iv as plot_iv
from pnp.plot.curves import plot_profile as plot_profile
from pnp.plot.fields import plot_field as plot_field
