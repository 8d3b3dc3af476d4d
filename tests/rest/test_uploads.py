"""Uploads over real HTTP: accepted and rejected ones; rejected ones leave no files."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from bench.service.corpus.series import enhanced
from tests.support.processes import DATA_DIR
from tests.support.rest_client import job_folders, post


def test_an_upload_is_queued(api: httpx.Client, nifti: bytes) -> None:
    response = post(api, nifti, data={"segmentation_model": "nnunet_fullres"})
    assert response.status_code == 201, response.text
    body = response.json()
    assert set(body) == {"job_id", "status", "queue_position", "estimated_wait_seconds", "message", "warnings"}
    assert body["warnings"] == []
    assert (body["status"], body["queue_position"]) == ("queued", 1)
    assert "#1 in queue" in body["message"]
    assert post(api, nifti).json()["queue_position"] == 2


def test_an_upload_writes_the_record_of_the_contract(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    options = {
        "email": "user@example.com",
        "segmentation_model": "nnunet_cascade",
        "perform_nsm": "true",
        "nsm_type": "bone_only",
        "retain_results": "false",
        "cartilage_smoothing": "0.5",
        "side": "left",
    }
    job_id = post(api, nifti, data=options).json()["job_id"]
    record = json.loads(redis_client.hget("jobs", job_id))
    assert record["id"] == job_id
    assert record["status"] == "queued"
    assert record["email"] == "user@example.com"
    assert record["input_filename"] == "test.nii.gz"
    assert record["retain_for_research"] is False
    assert record["options"] == {
        "segmentation_model": "nnunet_cascade",
        "menisci": True,
        "perform_nsm": True,
        "nsm_type": "bone_only",
        "retain_results": False,
        "cartilage_smoothing": 0.5,
        "side": "left",
        "skip_first_echo": False,
        "series": "",
        "knee": "",
        "turn": "",
        "weight_bearing": "60",
        "numbering": "auto",
        "resample_labels": False,
        "echo_times_ms": [],
        "spin_lock_times_ms": [],
    }
    assert record["created_at"].endswith("+00:00")
    assert redis_client.lrange("rq:queue:analyses", 0, -1) == [job_id]


def test_options_left_out_take_the_specified_defaults(api: httpx.Client, nifti: bytes, redis_client: Any) -> None:
    job_id = post(api, nifti).json()["job_id"]
    record = json.loads(redis_client.hget("jobs", job_id))
    assert record["retain_for_research"] is False, "a default is no consent"
    options = record["options"]
    assert options["segmentation_model"] == "nnunet_fullres"
    assert options["perform_nsm"] is True
    assert options["nsm_type"] == "bone_and_cart"
    assert options["retain_results"] is True
    assert options["cartilage_smoothing"] == 0.3125


def test_a_zip_with_one_image_is_accepted(api: httpx.Client, nifti: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("patient/scan.nii.gz", nifti)
    assert post(api, buffer.getvalue(), "patient_data.zip").status_code == 201


@pytest.mark.parametrize("name", ["scan.IMA", "IM0001", "1.2.840.113619.2.5.17"])
def test_a_dicom_file_is_accepted_by_its_content(api: httpx.Client, name: str) -> None:
    assert post(api, enhanced(), name).status_code == 201


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("test.txt", b"not a medical image", "INVALID_UPLOAD"),
        ("noextension", b"x", "UNREADABLE_IMAGE"),
        ("test.nii.gz", b"", "INVALID_UPLOAD"),
        ("test.nii.gz", b"this is no gzip stream", "UNREADABLE_IMAGE"),
        ("test.zip", b"PK\x03\x04 broken", None),
        ("test.dcm", b"\x00" * 2000, None),
    ],
)
def test_invalid_content_is_rejected_and_leaves_no_files(
    api: httpx.Client, redis_client: Any, name: str, content: bytes, code: str | None
) -> None:
    before = job_folders()
    response = post(api, content, name)
    assert response.status_code == 400
    body = response.json()
    assert set(body) == {"detail", "error_code", "hint"}
    assert body["error_code"] == (code or body["error_code"]) != ""
    assert str(DATA_DIR) not in response.text
    assert job_folders() == before
    assert redis_client.hlen("jobs") == 0


def test_a_wrong_extension_is_called_invalid(api: httpx.Client) -> None:
    detail = post(api, b"not a medical image", "test.txt").json()["detail"]
    assert "invalid" in detail.lower()
    assert ".nii.gz" in detail


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cartilage_smoothing", "5"),
        ("cartilage_smoothing", "nan"),
        ("cartilage_smoothing", "thick"),
        ("perform_nsm", "perhaps"),
        ("nsm_type", "cartilage"),
        ("segmentation_model", "../../etc/passwd"),
        ("side", "both"),
        ("email", "nobody"),
    ],
)
def test_form_values_outside_their_bounds_are_422_in_fastapis_shape(
    api: httpx.Client, nifti: bytes, field: str, value: str
) -> None:
    before = job_folders()
    response = post(api, nifti, data={field: value})
    assert response.status_code == 422
    assert [item["loc"] for item in response.json()["detail"]] == [["body", field]]
    assert job_folders() == before


def test_form_values_after_the_file_are_checked_as_well(api: httpx.Client, nifti: bytes) -> None:
    before = job_folders()
    boundary = "knee"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'.encode()
        + nifti
        + f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="side"\r\n\r\nboth\r\n--{boundary}--\r\n'.encode()
    )
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    assert api.post("/upload", content=body, headers=headers).status_code == 422
    assert job_folders() == before


def test_a_form_without_a_file_is_422(api: httpx.Client) -> None:
    for response in (api.post("/upload", data={"side": "left"}), api.post("/upload"), api.post("/upload", json={})):
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", "file"]


def test_an_incomplete_form_is_400_and_leaves_no_files(api: httpx.Client, nifti: bytes) -> None:
    before = job_folders()
    head = b'--knee\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=knee"}
    response = api.post("/upload", content=head + nifti[:100], headers=headers)
    assert response.status_code == 400
    assert job_folders() == before


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 100_000, 1_500_000])
def test_after_a_rejected_upload_the_same_client_can_continue(api: httpx.Client, size: int) -> None:
    """The connection is either closed properly or ready for the next request."""
    for _ in range(5):
        assert api.post("/upload", files={"file": ("a.nii", b"\x07" * size)}).status_code == 400
        assert api.get("/stats").status_code == 200
        assert api.post("/upload", files={"file": ("a.txt", b"\x07" * size)}).status_code == 400
        assert api.post("/jobs/none/cancel").status_code == 404
