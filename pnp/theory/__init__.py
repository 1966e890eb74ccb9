"""The textbook's closed forms: pure functions of JAX, with units and signs as in `pnp.units`."""

from pnp.theory.driving import nernst as nernst
from pnp.theory.electrolyte import debye_length as debye_length
from pnp.theory.ghk import ghk_current as ghk_current
from pnp.theory.ghk import ghk_voltage as ghk_voltage
from pnp.theory.pores import access_resistance as access_resistance
