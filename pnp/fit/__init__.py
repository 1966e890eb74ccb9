"""Fits of permeabilities, charges and diffusivities to measured currents, with uncertainties.

    data = [pnp.fit.read_csv("a.csv"), pnp.fit.IVData(voltage, current, sd, inside={"K": 150, "Cl": 150})]
    fit = pnp.fit.fit(channel, data, ["pore.diffusivity.K", pnp.fit.Free("pore.charge.0.amount", low=-5, high=0)])
    fit.parameters, fit.status, fit.warnings    # values with 95 % intervals by path; how it ended; what to doubt

A tutorial is in docs/fitting.md.
"""

from pnp.fit.data.abf import read_abf as read_abf
from pnp.fit.data.checks import DataError as DataError
from pnp.fit.data.csv import read_csv as read_csv
from pnp.fit.data.measurements import IVData as IVData
from pnp.fit.data.measurements import ReversalData as ReversalData
from pnp.fit.data.measurements import junction_potential as junction_potential
from pnp.fit.data.source import read as read
from pnp.fit.estimate.comparison import Comparison as Comparison
from pnp.fit.estimate.comparison import EffectivePermeability as EffectivePermeability
from pnp.fit.estimate.comparison import compare as compare
from pnp.fit.estimate.comparison import effective_permeability as effective_permeability
from pnp.fit.estimate.fit import fit as fit
from pnp.fit.estimate.posterior import Posterior as Posterior
from pnp.fit.estimate.posterior import posterior as posterior
from pnp.fit.estimate.profile_likelihood import Interval as Interval
from pnp.fit.estimate.profile_likelihood import profile as profile
from pnp.fit.estimate.result import Estimate as Estimate
from pnp.fit.estimate.result import Fit as Fit
from pnp.fit.estimate.result import FitStatus as FitStatus
from pnp.fit.model.ghk import GHK as GHK
from pnp.fit.model.parameters import FitError as FitError
from pnp.fit.model.parameters import Free as Free
from pnp.fit.model.pnp import PNP as PNP
