"""The reader of HOLE's text output."""

import numpy as np
import pytest

import pnp
from pnp.io.channel_file.writer import contents
from pnp.io.hole import HoleError, read_hole

BEFORE = """ *** HOLE run by someone ***
 First column "cenxyz.cvec" is the coordinate in the
   direction of the channel vector
 The second column "radius" is the hole pore radius
"""
HEAD = " cenxyz.cvec      radius  cen_line_D sum{s/(area point sourc\n"
AFTER = """
 Minimum radius found:      1.198 angstroms.

 HOLE: normal completion
"""
ROWS = [(-0.25, 3.0), (-0.125, 2.5), (0.0, 1.2), (0.125, 2.0)]  # Å


def column(value):
    """Fortran's F12.5: right-aligned, and stars if it does not fit."""
    text = f"{value:12.5f}"
    return text if len(text) == 12 else "*" * 12


def profile(rows, third=1.0):
    kinds = ["  (sampled)", "(mid-point)"]
    lines = [
        "".join(map(column, [x, radius, third, 0.5])) + " " + kinds[i % 2] + "\n" for i, (x, radius) in enumerate(rows)
    ]
    return HEAD + "".join(lines) + AFTER


@pytest.fixture
def hole_file(tmp_path):
    def write(*profiles, before=BEFORE):
        file = tmp_path / "hole_out.txt"
        file.write_text(before + "".join(profiles), "utf-8")
        return file

    return write


def test_profile_in_nm_from_the_first_plane(hole_file):
    x, radius = read_hole(hole_file(profile(ROWS)))
    np.testing.assert_allclose(x, [0, 0.0125, 0.025, 0.0375], atol=1e-15)
    np.testing.assert_allclose(radius, [0.3, 0.25, 0.12, 0.2])


def test_columns_that_touch_are_separated(hole_file):
    rows = [(-12345.51225, 1.19772), (-12345.38725, 100000.25), (-12345.26225, 1.25)]
    text = profile(rows, third=-10010.88673)
    assert "-12345.51225     1.19772-10010.88673" in text
    assert "-12345.38725100000.25000-10010.88673" in text
    x, radius = read_hole(hole_file(text))
    np.testing.assert_allclose(x, [0, 0.0125, 0.025], rtol=1e-9)
    np.testing.assert_allclose(radius, [0.119772, 10000.025, 0.125])


def test_offset_is_added_to_every_radius(hole_file):
    _, radius = read_hole(hole_file(profile(ROWS)), offset=-0.1)
    np.testing.assert_allclose(radius, [0.2, 0.15, 0.02, 0.1])


def test_frames_are_counted_from_one(hole_file):
    wider = [(x, r + 1) for x, r in ROWS]
    file = hole_file(profile(ROWS), profile(wider), profile(ROWS[:2]))
    default, first, second, third = read_hole(file), *(read_hole(file, frame=k) for k in (1, 2, 3))
    np.testing.assert_array_equal(default, first)
    np.testing.assert_allclose(second[1], first[1] + 0.1)
    assert third[0].size == 2


def test_windows_line_ends_and_stray_bytes(tmp_path, hole_file):
    file = tmp_path / "windows.txt"
    file.write_bytes(b"user M\xfcller\r\n" + (BEFORE + profile(ROWS)).replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(read_hole(file), read_hole(hole_file(profile(ROWS))))


def line_of_row(number):
    """Line of row `number` (from 0) of the first profile."""
    return BEFORE.count("\n") + 1 + 1 + number


BAD = {
    "overflow": ([ROWS[0], (-0.125, 1e9), ROWS[2]], {}, [f"line {line_of_row(1)}", "'************' is not a number"]),
    "overflowing position": ([(-1e8, 1.0), *ROWS], {}, [f"line {line_of_row(0)}", "'************'"]),
    "NaN": ([ROWS[0], (-0.125, np.nan)], {}, [f"line {line_of_row(1)}", "'nan'"]),
    "going back": ([*ROWS, (0.1, 2.0)], {}, [f"line {line_of_row(4)}", "does not increase"]),
    "standing still": ([*ROWS[:2], ROWS[1]], {}, [f"line {line_of_row(2)}", "does not increase"]),
    "NaN offset": (ROWS, {"offset": np.nan}, ["offset", "finite"]),
    "one row": (ROWS[:1], {}, ["profile 1 has 1 points", "at least 2"]),
    "no rows": ([], {}, ["profile 1 has 0 points"]),
    "frame too high": (ROWS, {"frame": 2}, ["has 1 profile,", "no frame 2"]),
    "frame zero": (ROWS, {"frame": 0}, ["frame must be 1 or more, not 0"]),
}


@pytest.mark.parametrize(("rows", "options", "fragments"), BAD.values(), ids=BAD.keys())
def test_unusable_profile_is_refused_at_its_line(rows, options, fragments, hole_file):
    file = hole_file(profile(rows))
    with pytest.raises(HoleError) as caught:
        read_hole(file, **options)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_mistake_in_a_later_frame_names_its_line(hole_file):
    first = profile(ROWS)
    file = hole_file(first, profile([ROWS[0], (1.0, 1e9)]))
    read_hole(file)
    line = (BEFORE + first).count("\n") + 3
    with pytest.raises(HoleError, match=rf"line {line}: "):
        read_hole(file, frame=2)


@pytest.mark.parametrize("text", ["", "some text\n", BEFORE, "x,r\n0,1\n1,1\n", BEFORE + AFTER])
def test_file_without_a_profile(text, hole_file):
    with pytest.raises(HoleError, match=r"no HOLE profile found; expected the text HOLE prints"):
        read_hole(hole_file(text, before=""))


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(HoleError, match=r"gone\.txt: cannot be read \(No such file"):
        read_hole(tmp_path / "gone.txt")
    with pytest.raises(HoleError, match=r"cannot be read"):
        read_hole(tmp_path)


def test_sizes_are_bounded(hole_file, monkeypatch):
    file = hole_file(profile(ROWS))
    monkeypatch.setattr("pnp.io.hole.MAX_ROWS", 3)
    with pytest.raises(HoleError, match="at most 3 points"):
        read_hole(file)
    monkeypatch.setattr("pnp.io.hole.MAX_HOLE_BYTES", 100)
    with pytest.raises(HoleError, match="MB"):
        read_hole(file)


def test_profile_replaces_the_radius_of_a_channel(hole_file):
    file = hole_file(profile(ROWS), profile([(x, r + 1) for x, r in ROWS]))
    channel = pnp.load("uncharged-cylinder", pore_profile=file, frame=2, offset=-0.02)
    assert float(channel.pore.end) == pytest.approx(0.0375)
    assert float(channel.area(0.025)) == pytest.approx(np.pi * 0.2**2)


def test_channel_file_names_a_hole_file_beside_it(tmp_path, hole_file):
    hole_file(profile(ROWS))
    file = tmp_path / "channel.toml"
    baths = "[inside]\nK = 1\nCl = 1\n[outside]\nK = 1\nCl = 1\n"
    file.write_text(f'{baths}[pore]\nradius = {{hole = "hole_out.txt", offset = "-0.2 Å"}}\n', "utf-8")
    channel = pnp.load(file)
    assert float(channel.area(0.025)) == pytest.approx(np.pi * 0.1**2)
    written = contents(channel)["pore"]["radius"]  # the table itself is kept, not a name that may vanish
    np.testing.assert_array_equal(written, np.column_stack([channel.pore.area.radius.x, channel.pore.area.radius.y]))


def test_profile_cannot_replace_segments_and_its_mistakes_are_reported(tmp_path, hole_file):
    with pytest.raises(pnp.ChannelFileError, match="made of segments"):
        pnp.load("kcsa-like", pore_profile=hole_file(profile(ROWS)))
    with pytest.raises(pnp.ChannelFileError, match=r"gone\.txt: cannot be read"):
        pnp.load("uncharged-cylinder", pore_profile=tmp_path / "gone.txt")


def test_gramicidin_is_the_table_of_holes_example_run():
    table = pnp.load("gramicidin-a").pore.area.radius
    assert table.x.size == 281
    np.testing.assert_allclose(np.diff(table.x), 0.0125, rtol=1e-6)
    assert float(table.y.min()) == pytest.approx(0.119772, abs=1e-9)  # its log: Rmin = 1.19772 Å
