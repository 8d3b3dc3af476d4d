"""Checks for every rejection of an invalid file, and faults that several tests insert into files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.image_io import read_scan
from tests.support.image_io_writers import PATIENT

Build = Callable[[Path], Path]
Case = tuple[type[InputError], str, Build]


def assert_refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the error's class and text, that it reveals nothing about server or patient, and that no file remains."""
    error, message, build = case
    source, scratch = tmp_path / "server-folder", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = build(source)
    with pytest.raises(error, match=message) as caught:
        read_scan(path)
    assert type(caught.value) is error
    text = f"{caught.value} {caught.value.facts}"
    assert not any(secret in text for secret in ("server-folder", str(tmp_path), "Doe", "4711", "/etc"))
    assert not list(scratch.iterdir())


def truncated(build: Build, keep: float) -> Build:
    def cut(folder: Path) -> Path:
        path = build(folder)
        file = sorted(path.iterdir())[3] if path.is_dir() else path
        file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
        return path

    return cut


def file_with(content: bytes) -> Build:
    def build(folder: Path) -> Path:
        path = folder / f"{PATIENT}.nii.gz"
        path.write_bytes(content)
        return path

    return build
