"""Solutions in files, in pictures and by `pnp profile`, most of them axisymmetric.

All of it stands in one file, so that the two large programs, axial and axisymmetric, are compiled once.
"""

import json
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import equinox as eqx
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
import pnp.cli.terminal
from pnp import units
from pnp.analysis.section import CURRENT_PER_RATE, make_section
from pnp.plot import plot_field, plot_profile
from pnp.settings import Status
from tests.cli.command import run

VOLTAGE = 50.0
MESH = pnp.Axisymmetric(resolution=0.25, nodes=64)  # one mesh throughout: one compiled program serves all tests


@pytest.fixture(scope="module")
def channel():
    return pnp.load("uncharged-cylinder")


@pytest.fixture(scope="module")
def solution(channel):
    return pnp.solve(channel, VOLTAGE, discretization=MESH)


@pytest.fixture(scope="module")
def axial(channel):
    return pnp.solve(channel, VOLTAGE, discretization=MESH.axial)


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


# --- sections -----------------------------------------------------------------------------------


def test_section_knows_wall_and_membrane(solution):
    section = make_section(solution)
    inner, outer = section.membrane_slices
    ends = np.broadcast_to([[0.0], [5.0]], (2, section.z.shape[1]))
    np.testing.assert_allclose(section.z[[inner, outer]], ends, atol=1e-12)
    np.testing.assert_allclose(section.r[:, section.wall_index], 1.0, rtol=1e-12)
    assert np.all(section.concentration[section.no_ion_nodes] == 0)
    assert np.all(section.concentration[~section.no_ion_nodes] > 0)
    assert np.all(section.flux_density[:, section.solid_cells] == 0)
    assert not np.any(np.all(section.flux_density[0, ~section.solid_cells] == 0, axis=-1))


def test_enclosed_current_adds_up_to_the_current(solution):
    section = make_section(solution)
    inner, outer = section.membrane_slices
    within = section.enclosed_current()[inner:outer]
    np.testing.assert_allclose(within[:, -1], float(solution.mesh_current[-1]), rtol=1e-10)
    np.testing.assert_array_equal(within[:, 0], 0)
    # Between equal baths and without charges each half of the area carries half of it, far from the mouths.
    middle = within[len(within) // 2]
    radius = (section.r[inner:outer][len(within) // 2])[: section.wall_index + 1]
    np.testing.assert_allclose(
        middle[: section.wall_index + 1], float(solution.mesh_current[-1]) * radius**2, rtol=2e-3
    )


def test_mean_over_the_cross_section(solution):
    section = make_section(solution)
    z, mean = section.means(section.r[..., None] * np.ones(2))
    np.testing.assert_array_equal(z, section.z[section.membrane_slices[0] : section.membrane_slices[1] + 1, 0])
    np.testing.assert_allclose(mean, 2 / 3, rtol=1e-12)  # of r over a circle of radius 1


def test_one_dimension_has_no_section(axial):
    with pytest.raises(ValueError, match="Axisymmetric"):
        make_section(axial)
    with pytest.raises(ValueError, match="Axisymmetric"):
        axial.to_vtu("x.vtu")
    with pytest.raises(ValueError, match="Axisymmetric"):
        plot_field(axial)


# --- files --------------------------------------------------------------------------------------


def test_netcdf_round_trip(solution, tmp_path):
    written = solution.to_xarray()
    written.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        xr.testing.assert_identical(dataset.load(), written)
        for name, variable in dataset.variables.items():
            assert variable.attrs["long_name"], name
            assert "units" in variable.attrs or variable.dtype.kind in "UO", name
        assert dataset["concentration"].dims == ("slice", "across", "ion")
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


def test_dataset_in_one_dimension_has_resistances(axial):
    dataset = axial.to_xarray()
    assert dataset["concentration"].dims == ("x", "ion")
    assert dataset["resistance"].values.sum() == pytest.approx(VOLTAGE / float(axial.current), rel=1e-8)  # mV/pA = GΩ
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
    section = make_section(solution)
    (cells,) = mesh.cells
    assert cells.type == "quad"
    corners = mesh.points[cells.data]  # [cell, corner, coordinate]
    edges = np.roll(corners, -1, axis=1) - corners
    turns = np.cross(edges, np.roll(edges, -1, axis=1))[..., 2]
    assert np.all(turns > 0)  # convex, and none of them upside down
    np.testing.assert_allclose(corners[:, :, 0].mean(1).reshape(slices - 1, nodes - 1), section.cell_centres[0])
    at = (slices // 2) * nodes + 2
    np.testing.assert_allclose(mesh.points[at], [solution.x[slices // 2], solution.r[slices // 2, 2], 0])
    assert mesh.point_data["potential (mV)"][at] == float(solution.potential[slices // 2, 2])
    assert mesh.point_data["Cl (mM)"][at] == float(solution.concentration[slices // 2, 2, 1])
    region, current = mesh.cell_data["region"][0], mesh.cell_data["current density (pA/nm2)"][0]
    assert region.sum() == (section.membrane_slices[1] - section.membrane_slices[0]) * (nodes - 1 - section.wall_index)
    assert np.all(current[region == 1] == 0)
    # 1 pA/nm² of K is its flux density times e: e per ns is 160.2 pA
    potassium, chloride = (mesh.cell_data[f"flux density {k} (1/nm2/ns)"][0] for k in ("K", "Cl"))
    np.testing.assert_allclose(current, 160.2176634 * (potassium - chloride), rtol=1e-12, atol=1e-15)
    assert abs(CURRENT_PER_RATE - 160.2176634) < 1e-9


# --- pictures -----------------------------------------------------------------------------------


def test_field_is_drawn_with_axes_units_and_scales(solution, axial, tmp_path):
    figure = plot_field(solution, axial=axial)
    figure.savefig(tmp_path / "x.png", dpi=60)
    labels = {ax.get_ylabel() for ax in figure.axes} | {ax.get_xlabel() for ax in figure.axes}
    assert {"r (nm)", "z (nm), from inside to outside", "potential (mV)", "concentration (mM)"} <= labels
    assert {"K⁺ (mM)", "Cl⁻ (mM)"} <= labels  # of colour bars
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "uncharged-cylinder at 50 mV" in texts
    assert f"{float(solution.current):.4g} pA" in texts
    assert "GΩ" in texts
    legend = [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert f"one dimension: {float(axial.current):.4g} pA" in legend
    assert figure.axes[0].get_title(loc="left") == "to scale"
    box, (wide, high) = figure.axes[0].get_position(), figure.get_size_inches()
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert box.width * wide / (right - left) == pytest.approx(box.height * high / (top - bottom), rel=1e-6)


def test_field_without_current_or_axial_solution(solution):
    still = eqx.tree_at(
        lambda s: (s.current, s.resistance, s.flux_density),
        solution,
        (jnp.zeros(()), jnp.full(3, jnp.nan), jnp.zeros_like(solution.flux_density)),
    )
    figure = plot_field(still)
    assert "GΩ" not in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize(("factor", "parts"), [(3, 1), (30, 2)])
def test_wide_pore_has_its_narrowest_part_beside_it(solution, factor, parts):
    section = make_section(solution)
    wider = 1 + (factor - 1) * np.clip(section.z / 5, 0, 1)
    figure = plot_field(eqx.tree_at(lambda s: s.r, solution, jnp.asarray(section.r * wider)))
    maps = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(maps) == parts
    if parts == 2:
        assert [ax.get_title(loc="left").split(";")[0] for ax in maps] == ["the whole pore", "its narrowest part"]
        assert "larger than z" in maps[0].get_title(loc="left")
        (left, right), (whole_left, whole_right) = (ax.get_xlim() for ax in maps[::-1])
        assert whole_left <= left < right < whole_right


def test_axisymmetric_solution_is_not_drawn_as_a_profile(solution):
    with pytest.raises(ValueError, match="plot_field"):
        plot_profile(solution)


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


def test_profile_is_printed_drawn_and_saved(tmp_path):
    ran = run(
        "profile", "uncharged-cylinder", "--voltage", "0.1 V", "--nodes", "64",
        "--plot", tmp_path / "p.png", "--output", tmp_path / "p.nc",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.err == f"Wrote {tmp_path / 'p.nc'}\nWrote {tmp_path / 'p.png'}\n"
    head, *rows = ran.out.splitlines()
    assert re.split(r"  +", head.strip()) == ["x (nm)", "potential (mV)", "K (mM)", "Cl (mM)"]
    middle = next(row for row in rows if row.split()[:1] == ["2.5"])
    assert [float(v) for v in middle.split()] == pytest.approx([2.5, 50, 100, 100], rel=1e-4)  # by symmetry
    assert re.search(r"^current \d+\.\d+ pA \(K .*converged$", ran.out, re.MULTILINE)
    # L/(σ π a²) of the pore, 1/(4 σ a) of each access; GΩ of 5 nm and 1 nm, by their ratio
    pore, inside, outside = map(
        float, re.search(r"^resistance (\S+) GΩ .*, (\S+) of .*, (\S+) out", ran.out, re.M).groups()
    )
    assert [inside, outside] == pytest.approx([pore * np.pi / 20] * 2, rel=2e-3)
    assert matplotlib.image.imread(tmp_path / "p.png")[..., :3].std() > 0.01
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as dataset:
        for name, variable in dataset.variables.items():
            assert variable.attrs["long_name"], name
            assert "units" in variable.attrs or name in ("ion", "part")
        assert float(dataset["voltage"]) == 100.0
        assert dataset["concentration"].dims == ("x", "ion")


def test_profile_that_does_not_converge_exits_3_without_numbers(monkeypatch, tmp_path):
    status = pnp.Status.NOT_CONVERGED
    unconverged = SimpleNamespace(
        status=status, message=pnp.analysis.solution.status_message(status, 0.02, 1, 2.5, ("K", "Cl"))
    )
    monkeypatch.setattr(pnp.analysis.steady, "solve", lambda *_, **__: unconverged)
    ran = run("profile", "uncharged-cylinder", "--voltage", "100", "--output", tmp_path / "p.nc")
    assert (ran.code, ran.out) == (3, "")
    assert "uncharged-cylinder at 100 mV did not converge" in ran.err
    assert "the concentration of Cl at x = 2.5 nm" in ran.err
    assert not list(tmp_path.iterdir())


def test_messages_name_a_finer_mesh():
    assert "--nodes 800" in Status.MESH_TOO_COARSE.advice(pnp.Axial(400).refinement)
    assert "--resolution 2" in Status.MESH_TOO_COARSE.advice(pnp.Axisymmetric().refinement)
    message = pnp.analysis.solution.status_message(
        Status.NOT_CONVERGED, np.nan, 1, 2.5, ("K", "Cl"), discretization=pnp.Axisymmetric()
    )
    assert "resolution=2" in message
    assert message.endswith("Cl at z = 2.5 nm")
