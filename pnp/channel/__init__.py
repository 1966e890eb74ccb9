"""A pore, its ions, charges and baths: what is solved. Data and checks, no numerics."""

from pnp.channel.channel import Channel as Channel
from pnp.channel.channel_number import ChannelNumber as ChannelNumber
from pnp.channel.charge import Ring as Ring
from pnp.channel.charge import Segment as Segment
from pnp.channel.charge import VolumeCharge as VolumeCharge
from pnp.channel.charge import WallCharge as WallCharge
from pnp.channel.ions import Ion as Ion
from pnp.channel.membrane import Membrane as Membrane
from pnp.channel.membrane import Reservoir as Reservoir
from pnp.channel.pore import Pore as Pore
from pnp.channel.profiles import ChannelError as ChannelError
