"""The way through another program and back: every file format gives identical labels. No analysis runs here."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from jobs.state.backend import open_backend
from jobs.state.clock import now
from pipeline.anatomy import Structure
from pipeline.correction import DOCUMENT_NAME, LABELS_NAME
from pipeline.grid import Grid
from pipeline.image_io import read_label_map
from tests.support.dicom_segmentation import write_segmentation
from tests.support.finished_jobs import finished_job, write_labels
from tests.support.label_maps import OAI
from tests.support.slicer_files import segment, write_seg_nrrd
from tests.support.versions import body, outlines, painted

PLATE = Structure.LATERAL_TIBIAL_CARTILAGE
NAMES = {int(structure): structure.title for structure in Structure}


def saved_labels(job_id: str, shape: tuple[int, ...]) -> np.ndarray:
    work = open_backend().storage.newest_workspace(job_id).work_dir
    return np.fromfile(work / LABELS_NAME, dtype=np.uint8).reshape(shape)


def send(api: httpx.Client, job: str, path: Path, **fields: str) -> httpx.Response:
    with path.open("rb") as stream:
        return api.post(f"/jobs/{job}/labels", files={"labels": (path.name, stream)}, data=fields)


def package(api: httpx.Client, job: str, folder: Path) -> Path:
    """The zip for another program, unpacked."""
    answer = api.get(f"/jobs/{job}/for-editing.zip")
    assert answer.status_code == 200
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(folder)
    return folder


def itksnap(api: httpx.Client, job: str, edited: np.ndarray, folder: Path) -> Path:
    """ITK-SNAP keeps the header of the NIfTI file that it read."""
    path = package(api, job, folder) / "labels.nii.gz"
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(edited.T.astype(np.int16), image.affine, image.header), folder / "snap.nii.gz")
    return folder / "snap.nii.gz"


def slicer(api: httpx.Client, job: str, edited: np.ndarray, folder: Path) -> Path:
    """3D Slicer writes layers, crops to the segments, and numbers values per layer."""
    read = read_label_map(package(api, job, folder) / "labels.seg.nrrd")
    where = np.argwhere(edited)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    cut = edited[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    layers = np.zeros((2, *cut.shape), dtype=np.uint8)
    pairs = ""
    for number, structure in enumerate(Structure):
        layer, value = number % 2, number // 2 + 1
        layers[layer][cut == structure] = value
        pairs += segment(number, structure.title, value, layer)
    pairs += f"Segmentation_ReferenceImageExtentOffset:={low[2]} {low[1]} {low[0]}\n"
    grid = read.grid.crop(tuple(int(v) for v in low), tuple(int(v) for v in high))
    return write_seg_nrrd(folder / "back.seg.nrrd", layers, pairs, grid)


def dicom(api: httpx.Client, job: str, edited: np.ndarray, folder: Path) -> Path:
    return write_segmentation(edited, outlines(job).grid, NAMES, folder / "back.dcm")


def results_nrrd(api: httpx.Client, job: str, edited: np.ndarray, folder: Path) -> Path:
    """The label map of the results zip, edited with ITK."""
    path = folder / "labels.nrrd"
    path.write_bytes(api.get(f"/jobs/{job}/artifacts/segmentation/labels.nrrd").content)
    before = sitk.ReadImage(str(path))
    after = sitk.GetImageFromArray(edited)
    after.CopyInformation(before)
    sitk.WriteImage(after, str(path), useCompression=True)
    return path


def other_numbering(api: httpx.Client, job: str, edited: np.ndarray, folder: Path) -> Path:
    """One label for both tibial plates, and axes in another order."""
    knee = outlines(job)
    image = sitk.GetImageFromArray(OAI[edited])
    image.SetSpacing(knee.grid.spacing_mm[::-1])
    image.SetOrigin(knee.grid.origin_mm.tolist())
    image.SetDirection(knee.grid.direction.reshape(-1).tolist())
    sitk.WriteImage(sitk.PermuteAxes(image, [2, 0, 1]), str(folder / "oai.nrrd"))
    return folder / "oai.nrrd"


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("way", [itksnap, slicer, dicom, results_nrrd, other_numbering])
def test_a_map_comes_back_from_another_program_voxel_for_voxel(
    api: httpx.Client, tmp_path: Path, side: str, way: Callable[..., Path]
) -> None:
    job = finished_job(side)
    edited = painted(outlines(job).labels, PLATE)
    answer = send(api, job, way(api, job, edited, tmp_path), newest="1", note="rim", initials="CD")
    assert answer.status_code == 201, answer.text
    saved = answer.json()["id"]
    assert np.array_equal(saved_labels(saved, edited.shape), edited)
    version = api.get(f"/jobs/{job}/versions").json()[1]
    assert (version["way"], version["note"], version["initials"]) == ("label_map", "rim", "CD")
    assert [change["structure"] for change in version["edits"]] == [PLATE.key]


def test_the_package_of_a_map_without_a_scan_has_names_colours_and_instructions(
    api: httpx.Client, tmp_path: Path
) -> None:
    job = finished_job()
    folder = package(api, job, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.txt", "labels.itksnap.txt", "labels.nii.gz", "labels.seg.nrrd",
    ]  # fmt: skip
    knee = outlines(job)
    for name in ("labels.nii.gz", "labels.seg.nrrd"):
        read = read_label_map(folder / name)
        assert np.array_equal(read.labels, knee.labels)
        assert read.grid.matches(knee.grid)
    header = (folder / "labels.seg.nrrd").read_bytes().partition(b"\n\n")[0].decode()
    assert f"Segment0_Name:={Structure.FEMUR.title}" in header
    assert "Segment0_Color:=0.9" in header
    assert "/labels" in (folder / "README.txt").read_text(encoding="utf-8")


def test_a_resampled_map_is_accepted_on_request_with_a_warning(api: httpx.Client, tmp_path: Path) -> None:
    job = finished_job()
    knee = outlines(job)
    off = Grid.from_dict(knee.grid.to_dict() | {"origin_mm": knee.grid.to_mm([[0.4, 0.0, 0.0]])[0]})
    path = write_labels(tmp_path / "off.nrrd", replace(knee, labels=painted(knee.labels, PLATE), grid=off))
    refused = send(api, job, path)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "UNSUPPORTED_IMAGE")
    answer = send(api, job, path, resample_labels="true")
    assert answer.status_code == 201, answer.text
    work = open_backend().storage.newest_workspace(answer.json()["id"]).work_dir
    document = json.loads((work / DOCUMENT_NAME).read_text(encoding="utf-8"))
    assert any("resampled" in text for text in document["outlines"]["warnings"])


def test_a_second_program_learns_that_a_newer_version_exists(api: httpx.Client, tmp_path: Path) -> None:
    job = finished_job()
    knee = outlines(job)
    assert api.post(f"/jobs/{job}/versions", json=body(knee.labels, painted(knee.labels, PLATE))).status_code == 201
    path = write_labels(tmp_path / "a.nrrd", replace(knee, labels=painted(knee.labels, PLATE, 2)))
    refused = send(api, job, path, newest="1")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "NEWER_VERSION")
    assert send(api, job, path).json()["version"] == 3


def test_a_review_is_kept_with_its_job_and_can_be_removed(api: httpx.Client) -> None:
    job = finished_job()
    answer = api.put(f"/jobs/{job}/review", json={"state": "to_be_corrected", "reason": "osteophyte counted as bone"})
    assert (answer.json()["state"], answer.json()["reason"]) == ("to_be_corrected", "osteophyte counted as bone")
    assert api.get(f"/jobs/{job}/versions").json()[0]["review"] == answer.json()
    record = open_backend().storage.read_record(job)
    assert record is not None
    assert record.review == answer.json()
    assert api.put(f"/jobs/{job}/review", json={"state": ""}).json() is None
    assert api.put("/jobs/unknown/review", json={"state": "accepted"}).status_code == 404


def test_results_are_kept_longer_on_request_within_the_limit_of_the_operator(api: httpx.Client) -> None:
    backend = open_backend()
    job = finished_job(expires_at=now() + timedelta(minutes=5))
    ends = api.post(f"/jobs/{job}/prolong").json()["expires_at"]
    record = backend.storage.read_record(job)
    assert record is not None
    assert record.expires_at is not None
    assert record.expires_at.isoformat().replace("+00:00", "Z") == ends
    assert timedelta(hours=23) < record.expires_at - now() < timedelta(hours=25)

    def age(_: Any) -> Any:
        return {"expires_at": now() + timedelta(minutes=5)}

    backend.store.change(job, age)
    client = backend.client
    text = json.loads(str(client.hget("jobs", job)))
    client.hset("jobs", job, json.dumps(text | {"created_at": (now() - timedelta(hours=168)).isoformat()}))
    refused = api.post(f"/jobs/{job}/prolong")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "JOB_CONFLICT")


def test_all_versions_are_deleted_on_request(api: httpx.Client) -> None:
    job = finished_job()
    knee = outlines(job)
    second = api.post(f"/jobs/{job}/versions", json=body(knee.labels, painted(knee.labels, PLATE))).json()["id"]
    assert api.delete(f"/jobs/{second}?version=all").status_code == 422
    assert api.delete(f"/jobs/{second}?versions=all").status_code == 204
    assert [api.get(f"/status/{known}").status_code for known in (job, second)] == [404, 404]
