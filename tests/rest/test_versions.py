"""Corrected outlines over real HTTP: a version is measured with exactly the voxels that the reader left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from jobs.state.backend import open_backend
from jobs.state.model import JobRecord
from pipeline.anatomy import Structure
from pipeline.correction import STEP
from tests.support.finished_jobs import finished_job
from tests.support.processes import DATA_DIR
from tests.support.rest_client import job_folders
from tests.support.versions import body, completed, outlines, packed, painted, stored_labels

PLATE = Structure.MEDIAL_TIBIAL_CARTILAGE


def save(api: httpx.Client, job_id: str, edited: Any, newest: int = 1, **fields: object) -> dict[str, Any]:
    answer = api.post(f"/jobs/{job_id}/versions", json=body(outlines(job_id).labels, edited, newest, **fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_version_is_measured_with_exactly_the_voxels_of_the_reader(
    api: httpx.Client, worker: Any, tmp_path: Path, side: str
) -> None:
    first = finished_job(side)
    before = outlines(first).labels
    edited = painted(before, PLATE)
    saved = save(api, first, edited, note="rim of the plate", initials="AB")
    assert saved["version"] == 2
    completed(api, saved["id"])

    assert np.array_equal(stored_labels(api, saved["id"], tmp_path), edited)
    assert np.array_equal(stored_labels(api, first, tmp_path), before)
    files = f"/jobs/{saved['id']}/artifacts"
    (edit,) = api.get(f"{files}/edits.json").json()["versions"]
    added, removed = ((edited == PLATE) & (before != PLATE)).sum(), ((edited != PLATE) & (before == PLATE)).sum()
    common = ((edited == PLATE) & (before == PLATE)).sum()
    dice = 2 * common / ((edited == PLATE).sum() + (before == PLATE).sum())
    (change,) = edit["structures"]
    assert (change["structure"], change["added"], change["removed"]) == (PLATE.key, added, removed)
    assert change["dice"] == pytest.approx(dice)
    assert (edit["version"], edit["base"], edit["way"]) == (2, 1, "browser")
    assert (edit["note"], edit["initials"]) == ("rim of the plate", "AB")
    provenance = api.get(f"{files}/provenance.json").json()
    assert provenance["edits"] == [edit]
    assert provenance["model"] == api.get(f"/jobs/{first}/artifacts/provenance.json").json()["model"]

    listed = api.get(f"/jobs/{first}/versions").json()
    assert listed == api.get(f"/jobs/{saved['id']}/versions").json()
    assert [(item["id"], item["version"], item["base"]) for item in listed] == [(first, 1, 0), (saved["id"], 2, 1)]
    assert listed[1]["edits"] == [change]
    assert_only_later_steps_ran(first, saved["id"])


def assert_only_later_steps_ran(first: str, version: str) -> None:
    """What precedes the correction is shared with the first version."""
    storage, record = open_backend().storage, open_backend().store.load(version)
    assert record is not None
    assert [step.state for step in record.steps if step.name == STEP] == ["done"]
    made, kept = (storage.newest_workspace(job).work_dir for job in (version, first))
    assert (made / "given_segmentation.labels.npy").samefile(kept / "given_segmentation.labels.npy")


@pytest.mark.slow
def test_the_numbers_are_those_of_an_analysis_of_the_corrected_map(
    api: httpx.Client, worker: Any, tmp_path: Path
) -> None:
    first = finished_job()
    edited = painted(outlines(first).labels, Structure.FEMORAL_CARTILAGE, over=(0, int(PLATE)))
    saved = save(api, first, edited)
    completed(api, saved["id"])
    map_path = tmp_path / "map.nrrd"
    map_path.write_bytes(api.get(f"/jobs/{saved['id']}/artifacts/segmentation/labels.nrrd").content)
    form = {"numbering": "canonical", "perform_nsm": "false"}
    fresh = api.post("/upload", files={"labels": ("map.nrrd", map_path.read_bytes())}, data=form).json()["job_id"]
    completed(api, fresh)
    corrected, measured = (api.get(f"/jobs/{job}/measurements").json() for job in (saved["id"], fresh))
    assert [row | {"value": 0} for row in corrected] == [row | {"value": 0} for row in measured]
    # the file states its geometry with another last digit
    assert [row["value"] for row in corrected] == pytest.approx([row["value"] for row in measured], rel=1e-6)


@pytest.mark.slow
def test_versions_follow_one_another_and_a_restored_one_becomes_the_newest(
    api: httpx.Client, worker: Any, tmp_path: Path
) -> None:
    first = finished_job()
    before = outlines(first).labels
    second = save(api, first, painted(before, PLATE))["id"]
    completed(api, second)
    third = save(api, second, painted(outlines(second).labels, Structure.PATELLAR_CARTILAGE), newest=2)["id"]
    completed(api, third)
    edits = api.get(f"/jobs/{third}/artifacts/edits.json").json()["versions"]
    assert [(edit["version"], edit["base"]) for edit in edits] == [(2, 1), (3, 2)]

    answer = api.post(f"/jobs/{first}/restore", json={"newest": 3, "note": "as it was"})
    assert (answer.status_code, answer.json()["version"]) == (201, 4)
    fourth = answer.json()["id"]
    completed(api, fourth)
    assert np.array_equal(stored_labels(api, fourth, tmp_path), before)
    assert api.get(f"/jobs/{fourth}/measurements").json() == api.get(f"/jobs/{first}/measurements").json()
    listed = api.get(f"/jobs/{first}/versions").json()
    assert [item["way"] for item in listed] == ["", "browser", "browser", "restored"]
    assert api.post(f"/jobs/{fourth}/restore", json={"newest": 4}).json()["error_code"] == "JOB_CONFLICT"

    assert api.delete(f"/jobs/{first}").status_code == 204
    assert [item["version"] for item in api.get(f"/jobs/{third}/versions").json()] == [2, 3, 4]
    fifth = save(api, third, painted(outlines(third).labels, PLATE, 2), newest=4)
    completed(api, fifth["id"])
    assert fifth["version"] == 5


@pytest.mark.slow
def test_a_version_that_is_run_again_keeps_its_outlines(api: httpx.Client, worker: Any, tmp_path: Path) -> None:
    first = finished_job()
    edited = painted(outlines(first).labels, PLATE)
    saved = save(api, first, edited)["id"]
    completed(api, saved)
    refused = api.post(f"/jobs/{saved}/retry", json={"turn": "RAS"})
    assert (refused.status_code, refused.json()["error_code"]) == (409, "JOB_CONFLICT")
    assert api.post(f"/jobs/{saved}/retry", json={"cartilage_smoothing": 0.5}).status_code == 202
    completed(api, saved)
    assert np.array_equal(stored_labels(api, saved, tmp_path), edited)


def test_a_second_tab_learns_that_a_newer_version_exists(api: httpx.Client) -> None:
    first = finished_job()
    before = outlines(first).labels
    assert save(api, first, painted(before, PLATE))["version"] == 2
    request = body(before, painted(before, PLATE, 2))
    refused = api.post(f"/jobs/{first}/versions", json=request)
    assert (refused.status_code, refused.json()["error_code"]) == (409, "NEWER_VERSION")
    assert "Version 2" in refused.json()["detail"]
    assert api.post(f"/jobs/{first}/versions", json=request | {"newest": 2}).json()["version"] == 3


def test_only_a_complete_analysis_can_be_corrected(api: httpx.Client, nifti: bytes) -> None:
    first = finished_job()
    waiting = save(api, first, painted(outlines(first).labels, PLATE))["id"]
    request = {"runs": packed((0, 1, 1)), "newest": 2}
    assert api.post(f"/jobs/{waiting}/versions", json=request).json()["error_code"] == "JOB_NOT_FINISHED"
    assert api.post("/jobs/unknown/versions", json=request).status_code == 404
    assert api.get("/jobs/unknown/versions").status_code == 404


def test_a_record_of_an_earlier_program_is_a_first_version(api: httpx.Client) -> None:
    first = finished_job()
    record = open_backend().store.load(first)
    assert record is not None
    text = json.loads(record.to_json())
    for name in ("corrected", "version_of", "version", "base_version", "way", "note", "initials", "edits", "review"):
        del text[name]
    read = JobRecord.from_json(json.dumps(text))
    assert (read.version, read.version_of, read.corrected, read.family) == (1, "", False, first)


def test_a_refused_correction_leaves_nothing(api: httpx.Client) -> None:
    first = finished_job()
    before = job_folders()
    answer = api.post(f"/jobs/{first}/versions", json={"runs": packed((10**9, 1, 1)), "newest": 1})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "INVALID_EDIT")
    assert job_folders() == before
    assert not list((DATA_DIR / "incoming").glob("*/*"))
