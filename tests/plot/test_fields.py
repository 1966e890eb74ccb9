"""Two dimensions as files, pictures and observables have them."""

import json
import re
from xml.etree import ElementTree

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.image
import matplotlib.pyplot as plt
import meshio
import numpy as np
import pytest
import xarray as xr

import pnp
import pnp.analysis.solution
import pnp.analysis.steady
from pnp import units
from pnp.analysis.section import CURRENT_PER_RATE, section
from pnp.plot.curves import plot_iv, plot_profile
from pnp.plot.fields import plot_field
from tests.cli.test_cli import run

VOLTAGE = 50.0


@pytest.fixture(scope="module")
def channel():
    return pnp.load("uncharged-cylinder")


@pytest.fixture(scope="module")
def solution(channel):
    return pnp.solve(channel, VOLTAGE, discretization=pnp.Axisymmetric(0.25, 64))


@pytest.fixture(scope="module")
def line(channel):
    return pnp.solve(channel, VOLTAGE, discretization=pnp.Axial(64))


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


# --- sections -----------------------------------------------------------------------------------


def test_section_knows_the_wall_the_faces_and_what_is_solid(solution):
    cut = section(solution)
    near, far = cut.faces
    assert (cut.z[near], cut.z[far]) == (0.0, 5.0)
    np.testing.assert_allclose(cut.r[:, cut.wall], 1.0, rtol=1e-12)
    assert np.all(cut.concentration[cut.dry] == 0)
    assert np.all(cut.concentration[~cut.dry] > 0)
    assert np.all(cut.flux_density[:, cut.solid] == 0)
    assert not np.any(np.all(cut.flux_density[0, ~cut.solid] == 0, axis=-1))


def test_enclosed_current_adds_up_to_the_current(solution):
    cut = section(solution)
    within = cut.enclosed_current()[cut.faces[0] : cut.faces[1]]
    np.testing.assert_allclose(within[:, -1], float(solution.current), rtol=1e-10)
    np.testing.assert_array_equal(within[:, 0], 0)
    # Between equal baths and without charges each half of the area carries half of it, far from the mouths.
    middle = within[len(within) // 2]
    radius = (cut.r[cut.faces[0] : cut.faces[1]][len(within) // 2])[: cut.wall + 1]
    np.testing.assert_allclose(middle[: cut.wall + 1], float(solution.current) * radius**2, rtol=2e-3)


def test_mean_over_the_cross_section(solution):
    cut = section(solution)
    z, mean = cut.means(cut.r[..., None] * np.ones(2))
    np.testing.assert_array_equal(z, cut.z[cut.faces[0] : cut.faces[1] + 1])
    np.testing.assert_allclose(mean, 2 / 3, rtol=0.02)  # of r over a circle of radius 1: the trapezoidal rule's


def test_one_dimension_has_no_section(line):
    with pytest.raises(ValueError, match="Axisymmetric"):
        section(line)
    with pytest.raises(ValueError, match="Axisymmetric"):
        line.to_vtu("x.vtu")
    with pytest.raises(ValueError, match="Axisymmetric"):
        plot_field(line)


# --- files --------------------------------------------------------------------------------------


def test_netcdf_round_trip(solution, tmp_path):
    written = solution.to_xarray()
    written.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        xr.testing.assert_identical(dataset.load(), written)
        for name, variable in dataset.variables.items():
            assert variable.attrs["long_name"], name
            assert "units" in variable.attrs or variable.dtype.kind in "UO", name
        assert dataset["concentration"].dims == ("z", "across", "ion")
        assert dataset["flux_density"].dims == ("component", "slab", "cell", "ion")
        assert dataset["potential"].coords["r"].shape == solution.r.shape
        assert dataset.attrs["dimension"] == 2
        assert dataset.attrs["channel"] == "uncharged-cylinder"
        np.testing.assert_array_equal(dataset["potential"], solution.potential)
        resistance = dataset["resistance"].sel(part="pore").item()
        assert resistance == pytest.approx(float(solution.resistance[1]), rel=1e-15)
        # e per ns is 160 pA, and what the two ions carry adds up
        flux = dataset["flux_density"].sel(component="z")
        current = (flux.sel(ion="K") - flux.sel(ion="Cl")).values * units.ELEMENTARY_CHARGE * 1e21
        np.testing.assert_allclose(dataset["current_density"].sel(component="z"), current, rtol=1e-12, atol=1e-12)


def test_one_dimension_says_its_resistances_as_well(line):
    dataset = line.to_xarray()
    assert dataset["concentration"].dims == ("x", "ion")
    assert dataset["resistance"].values.sum() == pytest.approx(VOLTAGE / float(line.current), rel=1e-8)  # mV/pA = GΩ
    assert dataset.attrs["dimension"] == 1


def test_vtu_read_back(solution, tmp_path):
    file = tmp_path / "x.vtu"
    solution.to_vtu(file)
    assert [f.name for f in tmp_path.iterdir()] == ["x.vtu"]
    piece = ElementTree.parse(file).getroot().find("UnstructuredGrid/Piece")
    slices, nodes = solution.r.shape
    assert int(piece.get("NumberOfPoints")) == slices * nodes
    assert int(piece.get("NumberOfCells")) == (slices - 1) * (nodes - 1)
    mesh = meshio.read(file)
    cut = section(solution)
    (quads,) = mesh.cells
    assert quads.type == "quad"
    corners = mesh.points[quads.data]  # [cell, corner, coordinate]
    edges = np.roll(corners, -1, axis=1) - corners
    turns = np.cross(edges, np.roll(edges, -1, axis=1))[..., 2]
    assert np.all(turns > 0)  # convex, and none of them upside down
    np.testing.assert_allclose(corners[:, :, 0].mean(1).reshape(slices - 1, nodes - 1)[:, 0], cut.centres[0])
    at = (slices // 2) * nodes + 2
    np.testing.assert_allclose(mesh.points[at], [solution.x[slices // 2], solution.r[slices // 2, 2], 0])
    assert mesh.point_data["potential (mV)"][at] == float(solution.potential[slices // 2, 2])
    assert mesh.point_data["Cl (mM)"][at] == float(solution.concentration[slices // 2, 2, 1])
    region, current = mesh.cell_data["region"][0], mesh.cell_data["current density (pA/nm2)"][0]
    assert region.sum() == (cut.faces[1] - cut.faces[0]) * (nodes - 1 - cut.wall)
    assert np.all(current[region == 1] == 0)
    # 1 pA/nm² of K is its flux density times e: e per ns is 160.2 pA
    potassium, chloride = (mesh.cell_data[f"flux density {k} (1/nm2/ns)"][0] for k in ("K", "Cl"))
    np.testing.assert_allclose(current, 160.2176634 * (potassium - chloride), rtol=1e-12, atol=1e-15)
    assert abs(CURRENT_PER_RATE - 160.2176634) < 1e-9


# --- observables --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def curve(channel):
    """With other currents than the solver's, so that points of the curve are seen to be used."""
    curve = pnp.iv_curve(channel, [-100.0, 0.0, 100.0], discretization=pnp.Axial(64))
    ions = jnp.array([[-3.0, -1.0], [0.0, 0.0], [9.0, -1.0]])
    return eqx.tree_at(lambda c: (c.ion_current, c.current), curve, (ions, ions.sum(1)))


def test_rectification_by_hand(curve):
    assert curve.rectification(100) == pytest.approx(8 / 4)
    assert curve.rectification(-100) == pytest.approx(4 / 8)
    assert np.isnan(curve.rectification(0))
    assert curve.rectification(75) == pytest.approx(1, rel=1e-9)  # solved for, and the pore is symmetric


def test_selectivity_by_hand(curve, channel):
    assert curve.selectivity(-100) == pytest.approx((3 - 1) / (3 + 1))
    assert curve.selectivity(100) == pytest.approx((9 - 1) / (9 + 1))  # an influx of anions against the current
    assert np.isnan(curve.selectivity(0))
    # Without charges ions carry in proportion to their diffusivities.
    potassium, chloride = (float(channel.ions[k].diffusivity) for k in ("K", "Cl"))
    expected = (potassium - chloride) / (potassium + chloride)
    assert curve.selectivity(75) == pytest.approx(expected, rel=1e-4)


# --- pictures -----------------------------------------------------------------------------------


def test_field_is_drawn_with_axes_units_and_scales(solution, line, tmp_path):
    figure = plot_field(solution, line=line)
    figure.savefig(tmp_path / "x.png", dpi=60)
    labels = {ax.get_ylabel() for ax in figure.axes} | {ax.get_xlabel() for ax in figure.axes}
    assert {"r (nm)", "z (nm), from inside to outside", "potential (mV)", "concentration (mM)"} <= labels
    assert {"K⁺ (mM)", "Cl⁻ (mM)"} <= labels  # of colour bars
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "uncharged-cylinder at 50 mV" in texts
    assert f"{float(solution.current):.4g} pA" in texts
    assert "GΩ" in texts
    legend = [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert f"one dimension: {float(line.current):.4g} pA" in legend
    assert figure.axes[0].get_title(loc="left") == "to scale"
    box, (wide, high) = figure.axes[0].get_position(), figure.get_size_inches()
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert box.width * wide / (right - left) == pytest.approx(box.height * high / (top - bottom), rel=1e-6)


def test_field_without_current_or_a_line(channel, solution):
    still = eqx.tree_at(
        lambda s: (s.current, s.resistance, s.flux_density),
        solution,
        (jnp.zeros(()), jnp.full(3, jnp.nan), jnp.zeros_like(solution.flux_density)),
    )
    figure = plot_field(still)
    assert "GΩ" not in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize(("factor", "parts"), [(3, 1), (30, 2)])
def test_wide_pore_has_its_narrowest_part_beside_it(solution, factor, parts):
    cut = section(solution)
    wider = 1 + (factor - 1) * np.clip(cut.z / 5, 0, 1)
    figure = plot_field(eqx.tree_at(lambda s: s.r, solution, jnp.asarray(cut.r * wider[:, None])))
    maps = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(maps) == parts
    if parts == 2:
        assert [ax.get_title(loc="left").split(";")[0] for ax in maps] == ["the whole pore", "its narrowest part"]
        assert "larger than z" in maps[0].get_title(loc="left")
        (left, right), (whole_left, whole_right) = (ax.get_xlim() for ax in maps[::-1])
        assert whole_left <= left < right < whole_right


def test_profiles_of_two_dimensions_are_not_drawn_as_those_of_one(solution):
    with pytest.raises(ValueError, match="plot_field"):
        plot_profile(solution)


def test_curve_beside_that_of_one_dimension(curve):
    ax = plot_iv(curve, line=curve)
    assert "total, one dimension" in [text.get_text() for text in ax.get_legend().get_texts()]


# --- the command line ---------------------------------------------------------------------------

PROFILE = ["profile", "uncharged-cylinder", "--voltage", VOLTAGE, "--dimension", 2]
COARSE = ["--resolution", 0.25, "--nodes", 64]


@pytest.mark.parametrize("suffix", [".nc", ".vtu"])
def test_profile_of_two_dimensions_is_printed_drawn_and_saved(suffix, solution, tmp_path):
    file, picture = tmp_path / f"x{suffix}", tmp_path / "x.png"
    ran = run(*PROFILE, *COARSE, "--output", file, "--plot", picture)
    assert ran.code == 0
    assert ran.err == f"Wrote {file}\nWrote {picture}\n"
    head, *rows = ran.out.splitlines()
    assert re.split(r"  +", head.strip()) == ["z (nm)", "potential (mV)", "K (mM)", "Cl (mM)"]
    middle = next(row for row in rows if row.split()[:1] == ["2.5"])
    assert [float(v) for v in middle.split()] == pytest.approx([2.5, 25, 100, 100], rel=1e-3)  # by symmetry
    assert f"resistance {float(solution.resistance[1]):.4g} GΩ of the pore" in ran.out
    assert matplotlib.image.imread(picture)[..., :3].std() > 0.01
    if suffix == ".vtu":
        assert len(meshio.read(file).points) == solution.r.size
    else:
        with xr.open_dataset(file, engine="h5netcdf") as dataset:
            np.testing.assert_allclose(dataset["potential"], solution.potential)


@pytest.fixture
def solved(monkeypatch, channel):
    """What `pnp.iv_curve` is asked for in two dimensions; it answers with currents of one."""
    real, asked = pnp.analysis.steady.iv_curve, []

    def answer(channel, voltages, *, nodes, dimension=1, resolution=1.0):
        curve = real(channel, np.resize(voltages, 3), nodes=64)  # of one shape, compiled once
        curve = jax.tree.map(lambda leaf: leaf[: len(voltages)] if jnp.shape(leaf)[:1] == (3,) else leaf, curve)
        if dimension == 2:
            asked.append((list(voltages), nodes, resolution))
            object.__setattr__(curve, "mesh", (nodes, resolution))
        return curve

    monkeypatch.setattr(pnp.analysis.steady, "iv_curve", answer)
    return asked


def test_curve_of_two_dimensions_is_solved_voltage_by_voltage(solved, tmp_path):
    ran = run("iv", "uncharged-cylinder", "--dimension", 2, "--format", "csv", "--output", tmp_path / "x.nc")
    assert ran.code == 0
    assert solved == [([v], 400, 1.0) for v in range(-200, 201, 40)]
    assert [float(row.split(",")[0]) for row in ran.out.splitlines()[1:]] == list(range(-200, 201, 40))
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert (dataset.attrs["dimension"], dataset.attrs["resolution"]) == (2, 1.0)


def test_interrupted_curve_of_two_dimensions_keeps_what_is_done(solved, monkeypatch):
    real = pnp.analysis.steady.iv_curve

    def interrupted(*args, **options):
        if len(solved) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(pnp.analysis.steady, "iv_curve", interrupted)
    ran = run("iv", "uncharged-cylinder", "--dimension", 2, "--format", "csv", "--voltages", "-50,50,100")
    assert ran.code == 130
    assert "2 of 3 voltages are done" in ran.err
    assert [row.split(",")[0] for row in ran.out.splitlines()[1:]] == ["-50.0", "50.0"]


@pytest.mark.slow  # compiles the program of curves
def test_curve_of_two_dimensions(channel, solution, tmp_path):
    ran = run(
        "iv", "uncharged-cylinder", "--dimension", 2, *COARSE, "--voltages", f"{-VOLTAGE},0,{VOLTAGE}",
        "--format", "json", "--plot", tmp_path / "x.png",
    )  # fmt: skip
    record = json.loads(ran.out)
    assert ran.code == 0
    assert record["current_pA"][2] == pytest.approx(float(solution.current), rel=1e-9)
    assert record["rectification"] == pytest.approx(1, rel=1e-6)
    assert record["conductance_nS"] == pytest.approx(float(solution.current) / VOLTAGE, rel=1e-3)
    assert matplotlib.image.imread(tmp_path / "x.png")[..., :3].std() > 0.01


def test_messages_ask_for_what_a_grid_has():
    status = pnp.Status.MESH_TOO_COARSE
    assert "--nodes 800" in status.text
    assert "--resolution 2" in status.advice(2)
    lost = pnp.analysis.solution.status_message(
        pnp.Status.NOT_CONVERGED, 1, 2.5, ("K", "Cl"), discretization=pnp.Axisymmetric()
    )
    assert "resolution=2" in lost
    assert lost.endswith("Cl at z = 2.5 nm")
