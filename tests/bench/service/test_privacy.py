"""The short form of part `privacy` of `make bench-service`."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from bench.service import planted
from bench.service.privacy import figures

pytestmark = pytest.mark.slow


def test_no_patient_data_remains_anywhere() -> None:
    for figure in figures(short=True):
        assert figure.met, figure.line()


def test_planted_values_are_found_in_every_encoding() -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii.gz", gzip.compress(f"x{planted.mark(7)}y".encode()))
        archive.writestr("b.txt", planted.mark(8).lower().encode("utf-16-le"))
        archive.writestr("c.json", next(iter(planted.FINGERPRINTS)))
    found = planted.found_in(gzip.compress(inner.getvalue()))
    assert found == {planted.mark(7).lower(), planted.mark(8).lower(), "md5(ZQPLANTAF)"}
    assert planted.found_in(b"zqplan nothing 2.25.7 1876") == set()
