"""The results zip."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from pipeline.report import write_archive


def make_tree(folder: Path) -> None:
    (folder / "qc").mkdir(parents=True)
    (folder / "README.txt").write_text("a knee\n" * 500)
    (folder / "qc" / "overlay.png").write_bytes(bytes(range(256)) * 20)
    (folder / "results.csv").write_text("x,y\n1,2\n")


def test_the_same_tree_gives_the_same_bytes_regardless_of_times_and_order(tmp_path: Path) -> None:
    make_tree(tmp_path / "one")
    two = tmp_path / "two"
    two.mkdir()
    for name in ("results.csv", "README.txt"):
        (two / name).write_bytes((tmp_path / "one" / name).read_bytes())
    (two / "qc").mkdir()
    (two / "qc" / "overlay.png").write_bytes((tmp_path / "one" / "qc" / "overlay.png").read_bytes())
    os.utime(two / "results.csv", (1_000_000_000, 1_000_000_000))
    (two / "README.txt").chmod(0o600)
    for name in ("one", "two"):
        write_archive(tmp_path / name, tmp_path / f"{name}.zip", root="knee_results")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_all_files_are_sorted_in_one_folder_and_can_be_read(tmp_path: Path) -> None:
    make_tree(tmp_path / "files")
    write_archive(tmp_path / "files", tmp_path / "r.zip", root="knee_results")
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "knee_results/README.txt",
            "knee_results/qc/overlay.png",
            "knee_results/results.csv",
        ]
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "files" / name.removeprefix("knee_results/")).read_bytes()
        assert archive.getinfo("knee_results/qc/overlay.png").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("knee_results/README.txt").compress_size < 200


def test_only_the_archive_remains(tmp_path: Path) -> None:
    make_tree(tmp_path / "files")
    out = tmp_path / "out"
    out.mkdir()
    write_archive(tmp_path / "files", out / "r.zip", root="k")
    assert [path.name for path in out.iterdir()] == ["r.zip"]


def test_a_failed_archive_leaves_the_previous_one_unchanged(tmp_path: Path) -> None:
    make_tree(tmp_path / "files")
    write_archive(tmp_path / "files", tmp_path / "r.zip", root="k")
    before = (tmp_path / "r.zip").read_bytes()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "empty", tmp_path / "r.zip", root="k")
    assert (tmp_path / "r.zip").read_bytes() == before


@pytest.mark.parametrize("root", ["", "..", "a/b", "a\\b"])
def test_a_root_that_is_not_a_plain_folder_name_is_rejected(root: str, tmp_path: Path) -> None:
    make_tree(tmp_path / "files")
    with pytest.raises(ValueError, match="plain folder name"):
        write_archive(tmp_path / "files", tmp_path / "r.zip", root=root)
