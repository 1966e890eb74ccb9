"""Fits as files."""

import json

import jax
import numpy as np
import pytest

import pnp
from pnp.channel.values import put_values
from pnp.fit import FitError, IVData, fit
from pnp.fit.estimate.levenberg_marquardt import Search
from pnp.fit.record import fit_record, resumed_starts, unfinished_record, write_channel, write_record
from pnp.io.channel_file.writer import contents
from tests.fit.conftest import VOLTAGE, bath, ghk_data

KEYS = (
    "channel model status parameters chi2 dof probability aic bic errors_known scatter correlation warnings data fitted"
)


@pytest.fixture(scope="module")
def result(channel):
    return fit(channel, ghk_data(), ["permeability.K", "permeability.Cl"], model="ghk", starts=3)


def test_the_record_is_json_with_what_was_asked_for(result):
    record = json.loads(json.dumps(fit_record(result), allow_nan=False))
    assert list(record)[: len(KEYS.split())] == KEYS.split()
    e = result.parameters["permeability.K"]
    assert record["parameters"]["permeability.K"] == e._asdict()
    assert set(record["parameters"]["permeability.K"]) == {"value", "unit", "std", "low", "high"}
    assert record["correlation"][0][1] == pytest.approx(result.correlation[0, 1])
    assert record["ratios"]["Cl/K"]["value"] == pytest.approx(result.ratios["Cl/K"].value)
    assert np.allclose(record["fitted"], result.predicted.value[0])


def test_what_is_not_determined_is_null(channel):
    data = [IVData(VOLTAGE, ghk_data()[0].current, np.full(9, 0.2), **bath(100.0, 100.0))]
    record = fit_record(fit(channel, data, ["permeability.K", "permeability.Cl"], model="ghk", starts=2))
    assert record["parameters"]["permeability.K"]["low"] is None
    assert record["correlation"][0][1] is None
    json.dumps(record, allow_nan=False)


def test_a_record_can_be_gone_on_from(result, tmp_path):
    write_record(fit_record(result), tmp_path / "fit.json")
    begin = resumed_starts(tmp_path / "fit.json")
    assert len(begin) == 3
    assert begin[0] == pytest.approx(result.values, rel=1e-2)


def test_what_an_unfinished_fit_has_is_a_record_too(result, tmp_path):
    run = Search(result.starts.u, result.starts.chi2, *(np.zeros(3) for _ in range(3)))
    write_record(unfinished_record(result.problem, run), tmp_path / "fit.json")
    record = json.loads((tmp_path / "fit.json").read_text())
    assert record["status"] == "interrupted"
    assert record["parameters"]["permeability.K"]["value"] == pytest.approx(result.values["permeability.K"], rel=1e-2)
    assert len(resumed_starts(tmp_path / "fit.json")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not the record of a fit"),
        ("[1]", "is not the record of a fit"),
        ('{"starts": [{"values": {"a": "x"}}]}', "is not the record of a fit"),
        ('{"starts": []}', "holds no starts"),
        ('{"starts": [{"values": {"a": NaN}}]}', "holds no starts"),
    ],
)
def test_files_that_are_no_record(tmp_path, text, message):
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(FitError, match=message):
        resumed_starts(tmp_path / "fit.json")


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(FitError, match="cannot be read"):
        resumed_starts(tmp_path / "none.json")


class Fitted:
    """As much of a fit as its channel takes, without fitting."""

    def __init__(self, channel, values):
        self.values, self.status = values, "converged"
        self.problem = type("Problem", (), {"channel": channel, "labels": ["a"]})

    def channel_values(self, label):
        return self.values


@pytest.mark.parametrize("name", sorted(pnp.presets()))
def test_the_fitted_channel_is_a_file_that_loads(tmp_path, name):
    channel = pnp.load(name)
    values = {"ions.K.diffusivity": 1.25, "pore.radius.scale": 0.875, "reservoir.permittivity": 70.0}
    write_channel(Fitted(channel, values), tmp_path / "new.toml")
    text = (tmp_path / "new.toml").read_text()
    assert text.startswith(f"# {name} with what was fitted to a")
    assert "fitted: ions.K.diffusivity = 1.25" in text
    new = pnp.load(tmp_path / "new.toml")
    raw = contents(put_values(channel, values))
    assert float(new.ions["K"].diffusivity) == 1.25
    assert float(new.bath_permittivity) == 70.0
    x = np.linspace(0, float(channel.pore.end), 7)
    assert np.allclose(new.area(x), 0.875**2 * channel.area(x))
    assert raw["inside"] == {k: float(v) for k, v in channel.inside.items()}
    rest = lambda c: (c.inside, c.outside, c.temperature, c.membrane, c.pore.charge, c.pore.pmf)
    assert all(map(np.allclose, jax.tree.leaves(rest(new)), jax.tree.leaves(rest(channel))))


def test_a_number_that_no_file_may_have_is_said(tmp_path):
    with pytest.raises(FitError, match="must be positive"):
        write_channel(Fitted(pnp.load("ompf"), {"reservoir.permittivity": -1.0}), tmp_path / "new.toml")
    assert not (tmp_path / "new.toml").exists()
