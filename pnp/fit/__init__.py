"""From measured currents to permeabilities, charges and diffusivities, with honest errors.

    data = [pnp.fit.read_csv("a.csv"), pnp.fit.IVData(voltage, current, sd, inside={"K": 150, "Cl": 150})]
    fit = pnp.fit.fit(channel, data, ["pore.diffusivity.K", pnp.fit.Free("pore.charge.0.amount", low=-5, high=0)])
    fit.parameters, fit.status, fit.warnings    # value ± 95 % interval by path; how it ended; what to be wary of

docs/fitting.md goes from CSV to posterior.
"""

from pnp.fit.abf import read_abf as read_abf
from pnp.fit.checks import DataError as DataError
from pnp.fit.comparison import Comparison as Comparison
from pnp.fit.comparison import EffectivePermeability as EffectivePermeability
from pnp.fit.comparison import compare as compare
from pnp.fit.comparison import effective_permeability as effective_permeability
from pnp.fit.csv_file import read_csv as read_csv
from pnp.fit.data import IVData as IVData
from pnp.fit.data import ReversalData as ReversalData
from pnp.fit.data import junction_potential as junction_potential
from pnp.fit.fitting import fit as fit
from pnp.fit.likelihood import Interval as Interval
from pnp.fit.likelihood import profile as profile
from pnp.fit.models import GHK as GHK
from pnp.fit.outcome import Estimate as Estimate
from pnp.fit.outcome import Fit as Fit
from pnp.fit.outcome import FitStatus as FitStatus
from pnp.fit.parameters import FitError as FitError
from pnp.fit.parameters import Free as Free
from pnp.fit.sampling import Posterior as Posterior
from pnp.fit.sampling import posterior as posterior
from pnp.fit.solved import PNP as PNP
from pnp.fit.source import read as read
