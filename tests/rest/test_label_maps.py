"""Label maps over real HTTP: alone, or with their scan; and names of fields, none of which is ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.rest.test_scans import keep
from tests.support.label_maps import coarse_knee
from tests.support.processes import DATA_DIR
from tests.support.rest_client import job_folders, post


def send(api: httpx.Client, names: list[str], route: str = "/upload", **values: str) -> httpx.Response:
    fields = {"scan": "file", "labels": "labels"}
    sent = {fields[name]: (f"{name}.nii", coarse_knee()[name], "application/octet-stream") for name in names}
    return api.post(route, files=sent, data=values)


def record_of(redis_client: Any, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    return dict(json.loads(redis_client.hget("jobs", answer.json()["job_id"])))


@pytest.mark.slow
def test_a_label_map_is_accepted_alone_and_with_its_scan(api: httpx.Client, redis_client: Any) -> None:
    alone = record_of(redis_client, send(api, ["labels"], numbering="oai"))
    assert (alone["input_path"], Path(alone["labels_path"]).name) == ("", "labels.nii")
    assert alone["options"]["numbering"] == "oai"
    both = record_of(redis_client, send(api, ["scan", "labels"]))
    assert (Path(both["input_path"]).name, Path(both["labels_path"]).name) == ("upload.nii", "labels.nii")
    assert both["input_filename"] == "scan.nii"
    assert (DATA_DIR / "jobs" / both["id"] / both["labels_path"]).read_bytes() == coarse_knee()["labels"]


@pytest.mark.slow
def test_scan_and_label_map_in_one_upload_are_distinguished(api: httpx.Client, redis_client: Any) -> None:
    scan = keep(api, coarse_knee()["both"], "both.zip").json()
    found = scan["labels"]
    assert scan["shape"] == found["shape"]
    assert found["filename"] == "labels.nii"
    recognised, *others = found["readings"]
    assert (recognised["numbering"], recognised["decided"]) == ("auto", "oai")
    assert recognised["structures"]["2"] == "femoral_cartilage"
    assert next(reading for reading in others if reading["numbering"] == "canonical")["refusal"]
    start = f"/scans/{scan['scan_id']}/start"
    refused = api.post(start, json={"numbering": "pymskt"})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "UNSUPPORTED_IMAGE")
    assert "oai" in refused.json()["hint"]
    record = record_of(redis_client, api.post(start, json={"numbering": "oai"}))
    assert record["input_path"] == record["labels_path"] != ""


@pytest.mark.slow
def test_a_label_map_is_recognised_without_a_scan(api: httpx.Client, redis_client: Any) -> None:
    scan = keep(api, coarse_knee()["labels"], "knee.nii").json()
    assert (scan["shape"], scan["labels"]["readings"][0]["decided"]) == (None, "oai")
    assert scan["labels"]["filename"] == "knee.nii"
    record = record_of(redis_client, api.post(f"/scans/{scan['scan_id']}/start"))
    assert (record["input_path"], Path(record["labels_path"]).name) == ("", "upload.nii")


@pytest.mark.slow
def test_a_label_map_in_the_field_of_the_scan_is_refused_with_the_right_field(api: httpx.Client) -> None:
    before = job_folders()
    for content, name in ((coarse_knee()["labels"], "knee.nii"), (coarse_knee()["both"], "both.zip")):
        answer = post(api, content, name)
        assert answer.status_code == 400
        assert "`labels`" in answer.json()["hint"]
    scan = (None, coarse_knee()["scan"])
    answer = api.post("/upload", files={"labels": ("scan.nii", scan[1], "application/octet-stream")})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "UNSUPPORTED_IMAGE")
    assert job_folders() == before


@pytest.mark.parametrize(
    ("values", "loc"),
    [
        ({"sied": "left"}, ["body", "sied"]),
        ({"Side": "left"}, ["body", "Side"]),
        ({"model": "nnunet_cascade"}, ["body", "model"]),
        ({"numbering": "oai"}, ["body", "labels"]),
        ({"numbering": "mine"}, ["body", "numbering"]),
        ({"echo_times_ms": "20, 10"}, ["body", "echo_times_ms"]),
    ],
)
def test_a_field_that_would_be_ignored_is_refused(
    api: httpx.Client, nifti: bytes, values: dict[str, str], loc: list[str]
) -> None:
    before = job_folders()
    answer = post(api, nifti, data=values)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)
    assert job_folders() == before


def test_a_misspelt_name_is_answered_with_the_right_one(api: httpx.Client, nifti: bytes) -> None:
    assert "'side'" in post(api, nifti, data={"sied": "left"}).json()["detail"][0]["msg"]
    file = {"files": ("a.nii.gz", nifti, "application/octet-stream")}
    assert "'file'" in api.post("/upload", files=file).json()["detail"][0]["msg"]


def test_a_form_field_in_the_query_is_refused_on_every_route_with_a_body(api: httpx.Client, nifti: bytes) -> None:
    file = {"file": ("a.nii.gz", nifti, "application/octet-stream")}
    for route in ("/upload?side=left", "/scans?series=5", "/scans/x/start?numbering=oai", "/jobs/x/retry?sides=left"):
        answer = api.post(route, files=file) if "x" not in route else api.post(route)
        assert answer.status_code == 422, route
        assert answer.json()["detail"][0]["loc"][0] == "query"
    assert api.get("/scans/x?serie=5").status_code == 422


def test_other_unknown_fields_are_named_in_the_warnings(api: httpx.Client, nifti: bytes) -> None:
    file = {"file": ("a.nii.gz", nifti, "application/octet-stream")}
    answer = api.post("/upload?tracker=1", files=file, data={"ward": "7"})
    assert answer.status_code == 201
    assert [text.split("'")[1] for text in answer.json()["warnings"]] == ["tracker", "ward"]


def test_echo_times_need_one_per_echo(api: httpx.Client, nifti: bytes) -> None:
    answer = post(api, nifti, data={"echo_times_ms": "10, 20"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "OPTIONS_ERROR")
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["body", "echo_times_ms"]
    assert "has 2 entries; the scan has 1 echo." in problem["msg"]


def test_spin_lock_times_need_one_per_image_and_no_echo_times(api: httpx.Client, nifti: bytes) -> None:
    answer = post(api, nifti, data={"spin_lock_times_ms": "0, 20"})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "OPTIONS_ERROR")
    (problem,) = answer.json()["detail"]
    assert "spin_lock_times_ms has 2 entries; the scan has 1 image." in problem["msg"]
    both = post(api, nifti, data={"spin_lock_times_ms": "20", "echo_times_ms": "10"})
    assert (both.status_code, both.json()["error_code"]) == (422, "OPTIONS_ERROR")
    assert post(api, nifti, data={"spin_lock_times_ms": "20, 0"}).status_code == 422
