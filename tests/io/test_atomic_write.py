"""Files written whole, or not at all."""

import pytest

from pnp.io.atomic_write import write_whole


def test_half_written_file_never_takes_its_place(tmp_path):
    file = tmp_path / "result.txt"
    file.write_text("old")

    def stop_half_way(to):
        to.write_text("hal")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, stop_half_way)
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["result.txt"]


def test_written_file_replaces_the_old_one_with_usual_permissions(tmp_path):
    file, plain = tmp_path / "result.txt", tmp_path / "plain.txt"
    file.write_text("old")
    plain.write_text("")
    write_whole(file, lambda to: to.write_text("new"))
    assert file.read_text() == "new"
    assert file.stat().st_mode == plain.stat().st_mode
    assert sorted(f.name for f in tmp_path.iterdir()) == ["plain.txt", "result.txt"]
