"""Uploads awaiting confirmation: their content, start and deletion."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from jobs.intake.scans import SCAN_LIFETIME_S, remove_expired_scans
from jobs.state.storage import Storage
from tests.support.image_io_writers import make_phantom, write_dicom, zip_of
from tests.support.processes import DATA_DIR

pytestmark = pytest.mark.slow


def keep(api: httpx.Client, content: bytes, name: str = "knee.nii.gz") -> httpx.Response:
    return api.post("/scans", files={"file": (name, content, "application/octet-stream")})


def two_series(folder: Path) -> bytes:
    """A zip of series 7 and 9."""
    write_dicom(make_phantom(1), folder / "s" / "a")
    write_dicom(make_phantom(2), folder / "s" / "b", change=lambda data, *_: setattr(data, "SeriesNumber", "9"))
    path = folder / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (folder / "s").rglob("IM*"):
            archive.write(file, file.relative_to(folder))
    return path.read_bytes()


def test_an_upload_is_described_and_not_queued(api: httpx.Client, nifti: bytes) -> None:
    answer = keep(api, nifti)
    assert answer.status_code == 201
    scan = answer.json()
    assert (scan["shape"], scan["spacing_mm"], scan["echoes"]) == ([16, 16, 16], [1.0, 1.0, 1.0], 1)
    assert "T2 needs at least 2" in scan["t2_unavailable"]
    assert scan["filename"] == "knee.nii.gz"
    assert api.get("/stats").json()["jobs_in_queue"] == 0
    assert api.get(f"/scans/{scan['scan_id']}").json() == scan


def test_a_dicom_series_is_described_by_its_header(api: httpx.Client, tmp_path: Path) -> None:
    path = zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "knee.zip")
    scan = keep(api, path.read_bytes(), "knee.zip").json()
    phantom = make_phantom(1)
    assert scan["shape"] == list(phantom.echoes.shape[1:])
    assert np.allclose(scan["spacing_mm"], phantom.spacing_xyz[::-1], rtol=1e-3)
    across = int(np.abs(phantom.direction[:, 2]).argmax())  # the slices are thickest along z
    assert scan["plane"] == ("sagittal", "coronal", "axial")[across]


def test_a_started_scan_becomes_one_job_with_the_same_id(api: httpx.Client, nifti: bytes) -> None:
    scan_id = keep(api, nifti).json()["scan_id"]
    started = api.post(f"/scans/{scan_id}/start", json={"side": "left"})
    assert (started.status_code, started.json()["job_id"]) == (201, scan_id)
    assert api.get(f"/status/{scan_id}").json()["status"] == "queued"
    assert api.post(f"/scans/{scan_id}/start").status_code == 404
    assert api.get(f"/scans/{scan_id}").status_code == 404
    assert (DATA_DIR / "jobs" / scan_id / "input" / "upload.nii.gz").read_bytes() == nifti
    assert not list((DATA_DIR / "scans").iterdir())


def test_one_of_several_series_is_chosen_before_the_start(api: httpx.Client, tmp_path: Path) -> None:
    scan = keep(api, two_series(tmp_path), "two.zip").json()
    assert scan["shape"] is None
    assert [choice["series"] for choice in scan["choices"]] == ["7", "9"]
    assert api.post(f"/scans/{scan['scan_id']}/start").json()["error_code"] == "AMBIGUOUS_SERIES"
    chosen = api.get(f"/scans/{scan['scan_id']}", params={"series": "9"}).json()
    assert chosen["series"] == "9"
    assert chosen["shape"] is not None
    assert api.get(f"/scans/{scan['scan_id']}", params={"series": "8"}).status_code == 400
    assert api.post(f"/scans/{scan['scan_id']}/start").status_code == 201


def test_an_unreadable_file_is_rejected_and_not_kept(api: httpx.Client) -> None:
    answer = keep(api, b"this is no image")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "UNREADABLE_IMAGE")
    for name in ("scans", "incoming"):
        assert not list((DATA_DIR / name).glob("*"))


def test_an_invalid_option_starts_no_job_and_keeps_the_scan(api: httpx.Client, nifti: bytes) -> None:
    scan_id = keep(api, nifti).json()["scan_id"]
    assert api.post(f"/scans/{scan_id}/start", json={"side": "both"}).status_code == 422
    assert api.get(f"/scans/{scan_id}").status_code == 200
    assert api.delete(f"/scans/{scan_id}").status_code == 204
    assert api.delete(f"/scans/{scan_id}").status_code == 404
    assert not list((DATA_DIR / "scans").iterdir())


def test_a_scan_that_is_not_started_is_deleted_after_an_hour(api: httpx.Client, nifti: bytes) -> None:
    old, new = (keep(api, nifti).json()["scan_id"] for _ in range(2))
    moment = time.time() - SCAN_LIFETIME_S - 5
    os.utime(DATA_DIR / "scans" / old, (moment, moment))
    assert remove_expired_scans(Storage(DATA_DIR)) == [old]
    assert api.get(f"/scans/{old}").status_code == 404
    assert api.get(f"/scans/{new}").status_code == 200
    api.delete(f"/scans/{new}")
