"""Activity models: coefficients against their formulas, and currents of the solver with them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import constants, optimize

import pnp
from pnp import theory
from pnp.channel.activity import DAVIES_LIMIT, Davies, Ideal, Steric
from pnp.finite_volume.axial import mesh as meshes
from tests.conftest import X, hold_mesh, make_charged

PERMITTIVITY = float(theory.water_permittivity())
WATER = (PERMITTIVITY, 298.15)
IONS = {"K": 1, "Ca": 2, "La": 3, "Cl": -1, "urea": 0}
VALENCE = [float(z) for z in IONS.values()]
SIZES = {"K": 0.33, "Ca": 0.45, "La": 0.6, "Cl": 0.36, "urea": 0.2}
MODELS = {
    "ideal": Ideal(),
    "one size": Steric(0.5),
    "sizes": Steric(SIZES),
    "sizes in a solvent": Steric(0.5, 0.25),
    "Davies": Davies(),
    "Davies 1938": Davies(0.6, 0.2),
    "growing": Davies(0.2, -0.1),
}
model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
LEFT_OUT = 0.4
"""1 − Σ v c of the compositions below: lattices filled by 60 %, ionic strengths of some M."""


def law_of(model):
    return model.coefficients(list(IONS), *WATER)


def compositions(model):
    """[ion][case], mM: from traces to crowds."""
    rng = np.random.default_rng(1)
    c = 10 ** rng.uniform(-8, 3, (len(IONS), 300))
    volume = getattr(law_of(model), "volume", np.zeros(len(IONS)))
    filled = np.asarray(volume) @ c
    return c * np.minimum(1.0, (1 - LEFT_OUT) / np.maximum(filled, 1e-300))


def test_bikerman_in_si_units():
    c, a = np.array([100.0, 200.0]), 0.7
    space = 1 - (a * 1e-9) ** 3 * constants.N_A * c.sum()
    found = Steric(a).coefficients(["K", "Cl"], *WATER).excess_from_concentration(list(c), [1.0, -1.0])
    np.testing.assert_allclose(found, -np.log(space), rtol=1e-13)


def test_several_sizes_in_si_units():
    c, a, solvent = np.array([100.0, 200.0]), np.array([0.3, 0.7]), 0.25
    space = 1 - ((a * 1e-9) ** 3 * constants.N_A * c).sum()
    law = Steric({"Cl": 0.7, "K": 0.3}, solvent).coefficients(["K", "Cl"], *WATER)
    found = law.excess_from_concentration(list(c), [1.0, -1.0])
    np.testing.assert_allclose(found, -((a / solvent) ** 3) * np.log(space), rtol=1e-13)


@pytest.mark.parametrize("z", [1, -1, 2, 3, 0])
def test_davies_is_that_of_theory_up_to_its_limit(z):
    strength = np.array([1e-6, 1.0, 100.0, 400.0, 1e3 * DAVIES_LIMIT])  # mM
    law = Davies().coefficients(["K", "other"], *WATER)
    own = law.excess_from_concentration([2 * strength, 0 * strength], [1.0, float(z)])[1]
    np.testing.assert_allclose(np.exp(own), theory.davies(strength, z, theory.debye_huckel_slope(*WATER)), rtol=1e-13)
    beyond = law.excess_from_concentration([np.array([1e3, 4e3, 2e4]), np.zeros(3)], [1.0, float(z)])[1]
    np.testing.assert_allclose(beyond, own[-1], rtol=1e-14)


@model
def test_activities_give_back_the_concentrations_they_came_from(model):
    law, c = law_of(model), compositions(model)
    own = np.broadcast_to(
        np.array(jnp.broadcast_arrays(*law.excess_from_concentration(list(c), VALENCE), c[0])[:-1]), c.shape
    )
    found = law.excess_from_activity(list(np.log(c) + own), VALENCE)
    found = np.array(jnp.broadcast_arrays(*found, c[0])[:-1])
    # Round-off of ln a, multiplied where activities hardly rise with concentrations: twelvefold for z = 3.
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-12)
    np.testing.assert_allclose(law.activity(list(c), VALENCE), c * np.exp(own), rtol=1e-13)


def test_crowds_beyond_floating_point():
    """Activities of e^2000: no concentration is above 1/v, and none is NaN."""
    log_activity = [jnp.array(x) for x in (2000.0, 500.0, 0.0, -3000.0, 10.0)]
    for model in (Steric(0.5), Steric(SIZES), Davies()):
        own = law_of(model).excess_from_activity(log_activity, VALENCE)
        assert np.all(np.isfinite(own))
    law = law_of(Steric(SIZES))
    with np.errstate(under="ignore"):
        c = np.exp(np.array(log_activity) - np.array(law.excess_from_activity(log_activity, VALENCE)))
    assert float(law.volume @ c) == pytest.approx(1.0, rel=1e-12)


@model
def test_a_free_energy_stands_behind_it(model):
    """∂mu/∂c is symmetric (Maxwell) and positive definite, so that concentrations are unique."""
    law = law_of(model)
    mu = lambda c: jnp.log(c) + jnp.stack(jnp.broadcast_arrays(*law.excess_from_concentration(list(c), VALENCE)))
    for c in compositions(model).T[:40]:
        slope = np.asarray(jax.jacfwd(mu)(jnp.asarray(c)))
        scaled = np.sqrt(c)[:, None] * slope * np.sqrt(c)
        np.testing.assert_allclose(scaled, scaled.T, rtol=0, atol=1e-13 * np.abs(scaled).max())
        assert np.linalg.eigvalsh((scaled + scaled.T) / 2).min() > 0


@pytest.mark.parametrize("name", ["one size", "sizes", "Davies"])
def test_derivatives_through_the_equation_for_the_concentrations(name):
    law, c = law_of(MODELS[name]), compositions(MODELS[name])[:, 7]
    inverse = lambda x: jnp.stack(law.excess_from_activity(list(x), VALENCE))
    ahead = lambda x: x + jnp.stack(jnp.broadcast_arrays(*law.excess_from_concentration(list(jnp.exp(x)), VALENCE)))
    log_a = ahead(jnp.log(c))
    exact = np.eye(len(IONS)) - np.linalg.inv(jax.jacfwd(ahead)(jnp.log(c)))
    np.testing.assert_allclose(jax.jacfwd(inverse)(log_a), exact, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(jax.jacrev(inverse)(log_a), exact, rtol=1e-9, atol=1e-12)
    known = law.solve_at(list(log_a), VALENCE)
    again = lambda x: jnp.stack(known.excess_from_activity(list(x), VALENCE))
    np.testing.assert_allclose(jax.jacfwd(again)(log_a), exact, rtol=1e-9, atol=1e-12)
    curvature, h = jax.hessian(lambda x: inverse(x)[0])(log_a), 1e-5
    slope = lambda k: jax.grad(lambda x: inverse(x)[0])(log_a + h * np.eye(len(IONS))[k])
    less = lambda k: jax.grad(lambda x: inverse(x)[0])(log_a - h * np.eye(len(IONS))[k])
    difference = np.stack([(slope(k) - less(k)) / (2 * h) for k in range(len(IONS))])
    np.testing.assert_allclose(curvature, difference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("model", [Steric(1e-6), Davies(0.0)], ids=["no size", "no slope"])
def test_limits_are_ideal(model):
    for own in law_of(model).excess_from_activity([jnp.array(5.0)] * len(IONS), VALENCE):
        assert abs(float(own)) < 1e-13


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activity_model": Steric(2.0)}, ["inside: ", "would fill 2.89", "outside: "]),
        ({"activity_model": Steric(-1.0)}, ["activity.size: must be positive, not -1 nm"]),
        ({"activity_model": Steric({"K": 0.3})}, ["activity.size.Cl: is missing"]),
        (
            {"activity_model": Steric({"K": 0.3, "Cl": 0.3, "Na": 0.3})},
            ["activity.size.Na: no such ion (the ions are K, Cl)"],
        ),
        ({"activity_model": Steric(0.3, 0.0)}, ["activity.solvent: must be positive, not 0 nm"]),
        ({"activity_model": Davies(-1.0)}, ["activity.slope: must be 0 or more, not -1"]),
        ({"activity_model": Davies(0.5, np.nan)}, ["activity.coefficient: must be finite, not nan"]),
        ({"activity_model": Davies(8.0)}, ["A = 8 M^-½", "the activity of K", "would fall"]),
        ({"born": True, "ions": {"K": pnp.Ion(1, 2.0, 0.1), "Cl": pnp.Ion(-1, 2.0)}}, ["ions.Cl.radius: is not known"]),
        ({"born": True, "ions": {"K": pnp.Ion(1, 2.0, -0.1), "Cl": pnp.Ion(-1, 2.0, 0.1)}}, ["ions.K.radius: must be"]),
    ],
)
def test_refused_with_a_reason(changes, words):
    salt = {"K": 300.0, "Cl": 300.0}
    with pytest.raises(pnp.ChannelError) as caught:
        pnp.Channel.from_profiles(X, **{"area": 1.0, "ions": ["K", "Cl"], "inside": salt, "outside": salt} | changes)
    for word in words:
        assert word in str(caught.value)


# --- the solver ---------------------------------------------------------------------------------

NODES = 60
STERIC, DAVIES = Steric(0.7), Davies()
slow = pytest.mark.slow  # the equation for the concentrations takes long to compile
solver = pytest.mark.parametrize("activity_model", [STERIC, pytest.param(DAVIES, marks=slow)], ids=["steric", "Davies"])


def solve(voltage, **changes):
    return pnp.solve(make_charged(**changes), voltage, discretization=pnp.Axial(NODES))


@solver
def test_equilibrium_carries_nothing(activity_model):
    rest = solve(0.0, inside=300.0, outside=300.0, activity_model=activity_model)
    driven = solve(25.0, inside=300.0, outside=300.0, activity_model=activity_model)
    assert np.max(np.abs(rest.ion_current)) < 1e-12 * abs(float(driven.current))
    # mu of every ion is that of the baths, all along the fixed charge.
    phi = np.asarray(rest.potential)[:, None] / pnp.units.thermal_voltage(298.15)
    c = np.asarray(rest.concentration)
    own = activity_model.coefficients(["K", "Cl"], *WATER).excess_from_concentration(list(c.T), [1.0, -1.0])
    mu = np.log(c) + phi * [1, -1] + np.stack(own, -1)
    np.testing.assert_allclose(mu, np.broadcast_to(mu[0], mu.shape), rtol=0, atol=1e-11)


@solver
@pytest.mark.parametrize("density", [-1.0, 3.0])
def test_flux_is_constant_and_turns_round_with_the_pore(activity_model, density):
    there = solve(80.0, density=density, activity_model=activity_model)
    assert float(there.conservation_error) < 1e-11
    back = pnp.solve(
        make_charged(density=density, activity_model=activity_model).reflected(), -80.0, discretization=pnp.Axial(NODES)
    )
    np.testing.assert_allclose(back.ion_current, -there.ion_current, rtol=1e-6)


@pytest.mark.slow
@solver
def test_without_size_or_slope_it_is_the_ideal_pore(activity_model):
    nothing = Steric(1e-4) if activity_model is STERIC else Davies(0.0)
    ideal, limit = solve(80.0), solve(80.0, activity_model=nothing)
    np.testing.assert_allclose(limit.ion_current, ideal.ion_current, rtol=1e-9)
    with_it = solve(80.0, activity_model=activity_model)
    assert np.abs(np.asarray(with_it.ion_current / ideal.ion_current) - 1).max() > 0.01, "with them it is another one"


def test_a_pore_that_ions_cannot_neutralise():
    """−20 M of charge and 4.84 M of places: no place holds more than one ion, at any voltage."""
    most = 1 / (0.7e-9**3 * constants.N_A)
    for voltage in (-1000.0, 0.0, 1000.0):
        c = np.asarray(solve(voltage, density=-20.0, activity_model=STERIC).concentration)
        assert (1 - 1e-9) * most < c.sum(1).max() < most * (1 + 1e-12)


@solver
def test_only_potassium_passes_at_the_nernst_potential_of_activities(activity_model):
    """E = kT/e ln(a_out/a_in), with γ from the formulas in 50 digits."""
    inside, outside = 300.0, 20.0
    if activity_model is STERIC:
        gamma = lambda c: 1 / (1 - mpmath.mpf("0.7e-9") ** 3 * constants.N_A * 2 * c)
    else:
        slope = float(theory.debye_huckel_slope(*WATER)) * mpmath.log(10)
        gamma = lambda c: mpmath.exp(-slope * (mpmath.sqrt(c / 1e3) / (1 + mpmath.sqrt(c / 1e3)) - 0.3 * c / 1e3))
    thermal = 1e3 * constants.k * 298.15 / constants.e
    exact = float(thermal * mpmath.log(outside * gamma(outside) / (inside * gamma(inside))))
    ideal = thermal * np.log(outside / inside)
    assert abs(exact - ideal) > 1.0
    only = {"density": -0.5, "inside": inside, "outside": outside, "barrier": 60.0, "activity_model": activity_model}
    assert abs(float(solve(exact, **only).ion_current[0])) < 1e-9 * abs(float(solve(ideal, **only).ion_current[0]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activity_model", "where", "values"),
    [
        (STERIC, lambda c: c.activity_model.size, (0.3, 0.7)),
        (Davies(0.5), lambda c: c.activity_model.slope, (0.2, 0.6)),
    ],
    ids=["steric", "Davies"],
)
def test_many_models_side_by_side(activity_model, where, values):
    channel = make_charged(activity_model=activity_model)
    current = lambda value: pnp.solve(eqx.tree_at(where, channel, value), 80.0, discretization=pnp.Axial(NODES)).current
    alone = [float(current(jnp.array(value))) for value in values]
    np.testing.assert_allclose(jax.jit(jax.vmap(current))(jnp.array(values)), alone, rtol=1e-10)
    assert alone[0] != pytest.approx(alone[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activity_model", "parameters"),
    [
        (Steric(0.6), (lambda e: e.size,)),
        (Steric({"K": 0.33, "Cl": 0.36}), (lambda e: e.size["K"], lambda e: e.size["Cl"])),
        (Davies(0.5, 0.3), (lambda e: e.slope, lambda e: e.coefficient)),
    ],
    ids=["size", "sizes", "Davies"],
)
def test_forward_reverse_and_difference_agree(activity_model, parameters, monkeypatch):
    channel = make_charged(activity_model=activity_model)
    hold_mesh(monkeypatch, meshes.make_mesh(channel, NODES))

    def current(scales):
        changed = channel
        for where, scale in zip(parameters, scales, strict=True):
            changed = eqx.tree_at(
                lambda c, w=where: w(c.activity_model), changed, replace_fn=lambda leaf, s=scale: leaf * s
            )
        return pnp.solve(changed, 80.0, discretization=pnp.Axial(NODES)).current

    one, h = jnp.ones(len(parameters)), 1e-3
    forward, reverse, f = jax.jit(jax.jacfwd(current))(one), jax.jit(jax.jacrev(current))(one), jax.jit(current)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
    for k in range(len(parameters)):
        at = lambda step, k=k: float(f(one.at[k].add(step)))
        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert float(forward[k]) == pytest.approx(difference, rel=1e-7)


@pytest.mark.slow
def test_donnan_equilibrium_with_activities():
    """A thick charged layer: c e^(z y) γ(c) = c_bath γ(c_bath) for both ions and neutrality, solved by SciPy."""
    bath, fixed = 100.0, -150.0  # I = 0.2 M within, where Davies' equation holds
    slope = float(theory.debye_huckel_slope(*WATER)) * np.log(10)
    davies = lambda c, a: -slope * (np.sqrt((c + a) / 2e3) / (1 + np.sqrt((c + a) / 2e3)) - 0.3 * (c + a) / 2e3)
    bikerman = lambda c, a: -np.log(1 - 0.7e-9**3 * constants.N_A * (c + a))
    for activity_model, ln_gamma in ((DAVIES, davies), (STERIC, bikerman)):
        both = lambda a, f=ln_gamma: np.log(a * (a - fixed)) + 2 * f(a - fixed, a) - 2 * (np.log(bath) + f(bath, bath))
        anion = optimize.brentq(both, 1e-6, bath, xtol=1e-12)
        cation = anion - fixed
        y = np.log(bath / cation) + ln_gamma(bath, bath) - ln_gamma(cation, anion)
        wide = eqx.tree_at(lambda c: (c.pore.charge[0].density.x, c.pore.area.x, c.pore.pmf["Cl"].x, c.pore.end,
                                      c.pore.charge[0].end),
                           make_charged(density=fixed / 1e3, inside=bath, outside=bath, activity_model=activity_model),
                           (*[jnp.array([0.0, 20, 20, 60, 60, 80])] * 3, jnp.array(80.0), jnp.array(80.0)))  # fmt: skip
        state = pnp.solve(wide, 0.0, discretization=pnp.Axial(NODES))
        middle = np.argmin(np.abs(np.asarray(state.x) - 40.0))
        np.testing.assert_allclose(state.concentration[middle], [cation, anion], rtol=1e-9)
        assert float(state.potential[middle]) == pytest.approx(y * pnp.units.thermal_voltage(298.15), rel=1e-9)


# --- Born energy --------------------------------------------------------------------------------

RADII = {"K": 0.138, "Cl": 0.181}


def gate(permittivity=20.0, by_hand=False, radii=RADII):
    """A pore whose middle layer has a low permittivity, and ions with their Born energy."""
    ions = {k: pnp.Ion(z, 2.0, radii[k]) for k, z in (("K", 1), ("Cl", -1))}
    middle = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    energy = {k: float(theory.born_energy(r, 1, permittivity, PERMITTIVITY)) for k, r in radii.items()}
    return pnp.Channel.from_profiles(
        X,
        area=1.0,
        permittivity=PERMITTIVITY + (permittivity - PERMITTIVITY) * middle,
        ions=ions,
        inside={"K": 300.0, "Cl": 300.0},
        outside={"K": 100.0, "Cl": 100.0},
        pmf={k: e * middle for k, e in energy.items()} if by_hand else None,
        born=not by_hand,
    )


@pytest.mark.slow
def test_born_energy_is_the_potential_of_mean_force_it_says():
    own, by_hand = (pnp.solve(gate(by_hand=flag), 80.0, discretization=pnp.Axial(NODES)) for flag in (False, True))
    np.testing.assert_allclose(own.ion_current, by_hand.ion_current, rtol=1e-12)
    other = pnp.solve(gate().reflected(), -80.0, discretization=pnp.Axial(NODES))
    np.testing.assert_allclose(other.ion_current, -own.ion_current, rtol=1e-6)


def test_born_energy_stops_at_its_bound():
    """Permittivity 1.2 costs an ion of 0.1 nm 230 kT, and one of half of that twice as much: cut to 300, and solved."""
    channel = gate(1.2, radii={"K": 0.05, "Cl": 0.1})
    np.testing.assert_allclose(channel.position_energy(np.array([1.0, 4.0]))[:, 0], [0.0, 300.0])
    exact = 4 * np.pi * constants.epsilon_0 * 0.2e-9 * constants.k * 298.15
    exact = constants.e**2 / exact * (1 / 1.2 - 1 / PERMITTIVITY)
    assert float(channel.position_energy(np.array([4.0]))[0, 1]) == pytest.approx(exact, rel=1e-9)
    assert np.all(np.asarray(channel.pmf(np.array([4.0]))) == 0)
    state = pnp.solve(channel, 80.0, discretization=pnp.Axial(NODES))
    assert np.all(np.isfinite(state.potential))
    assert np.all(np.abs(state.ion_current) < 1e-20), "nothing passes"


@pytest.mark.slow
def test_born_energy_differentiates():
    """With respect to the radius: −w/a per nm, against the same pore with the energy given."""
    both = {False: lambda c: c.ions["K"].radius, True: lambda c: c.pore.pmf["K"].y}
    slope = {}
    for by_hand, where in both.items():
        current = lambda s, w=where, h=by_hand: pnp.solve(
            eqx.tree_at(w, gate(by_hand=h), replace_fn=lambda leaf: leaf * s), 80.0, discretization=pnp.Axial(NODES)
        ).ion_current[0]
        slope[by_hand] = float(jax.grad(current)(1.0))
    assert slope[False] == pytest.approx(-slope[True], rel=1e-9)
