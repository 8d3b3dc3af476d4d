"""Results over real HTTP: the zip, single files, ranges."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipeline.products import FLAGS, MEASUREMENTS
from pipeline.types import Measurement
from pipeline.workspace import Workspace
from tests.support.processes import DATA_DIR
from tests.support.report_phantom import THICK_SLICES
from tests.support.rest_client import complete, save


def test_a_complete_job_is_downloaded_with_the_name_of_its_input(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, "output/knee.zip")  # relative to its own folder
    path = DATA_DIR / "jobs" / job_id / "output" / "knee.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results.json", "{}")
    body = api.get(f"/status/{job_id}").json()
    assert body["download_url"] == f"/download/{job_id}"
    assert body["processing_time_seconds"] == 180
    assert body["result_size_bytes"] == 7
    response = api.get(body["download_url"])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    assert 'filename="patient_scan_results.zip"' in response.headers["content-disposition"]
    assert response.content == path.read_bytes()


def test_no_file_outside_the_folder_of_the_job_is_served(api: httpx.Client, redis_client: Any, tmp_path: Path) -> None:
    """Whoever can write to Redis cannot read other files of the server."""
    secret, other = tmp_path / "secret.zip", DATA_DIR / "jobs" / "other" / "results.zip"
    other.parent.mkdir(parents=True)
    for path in (secret, other):
        path.write_bytes(b"secret")
    for path in (
        "{secret}",
        "{other}",
        "../other/results.zip",
        "link.zip",
        "{folder}/../other/results.zip",
        "\0",
        "/x",
    ):
        job_id = complete(redis_client, "")
        folder = DATA_DIR / "jobs" / job_id
        folder.mkdir()
        (folder / "link.zip").symlink_to(secret)
        named = path.format(secret=secret, other=other, folder=folder)
        record = json.loads(redis_client.hget("jobs", job_id)) | {"result_path": named}
        redis_client.hset("jobs", job_id, json.dumps(record))
        response = api.get(f"/download/{job_id}")
        assert response.status_code == 404, path
        assert b"secret" not in response.content


def test_an_absolute_path_of_an_earlier_version_is_read_after_a_move(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, "")
    path = DATA_DIR / "jobs" / job_id / "results" / "results.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    for root in (DATA_DIR, Path("/srv/earlier")):
        record = json.loads(redis_client.hget("jobs", job_id))
        record["result_path"] = str(root / "jobs" / job_id / "results" / "results.zip")
        redis_client.hset("jobs", job_id, json.dumps(record))
        assert api.get(f"/download/{job_id}").content == b"old"


def test_a_record_under_the_id_of_another_job_is_not_read(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, "results/results.zip")
    redis_client.hset("jobs", "forged", redis_client.hget("jobs", job_id))
    assert api.get("/download/forged").status_code == 404


@pytest.mark.parametrize("status", ["queued", "processing", "error"])
def test_a_download_before_the_end_is_400(api: httpx.Client, redis_client: Any, status: str) -> None:
    response = api.get(f"/download/{save(redis_client, {'status': status})}")
    assert response.status_code == 400
    assert "not complete" in response.json()["detail"].lower()


def test_artifacts_support_ranges_and_are_limited_to_the_results(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, "results.zip")
    files = DATA_DIR / "jobs" / job_id / "results" / "files"
    (files / "surfaces").mkdir(parents=True)
    content = np.random.default_rng(1).bytes(3_000_000)
    (files / "surfaces" / "femur.ply").write_bytes(content)
    (files.parent / "manifest.json").write_text("{}")
    url = f"/jobs/{job_id}/artifacts"
    assert api.get(f"{url}/surfaces/femur.ply").content == content  # compressed on the way
    part = api.get(f"{url}/surfaces/femur.ply", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    for name in ("../manifest.json", "%2e%2e/manifest.json", "surfaces", "/etc/passwd", "surfaces/../../manifest.json"):
        assert api.get(f"{url}/{name}").status_code == 404


@pytest.fixture
def ten_bytes(api: httpx.Client, redis_client: Any) -> str:
    """Address of a result that holds the digits from 0 to 9."""
    job_id = complete(redis_client, "results.zip")
    files = DATA_DIR / "jobs" / job_id / "results" / "files"
    files.mkdir(parents=True)
    (files / "digits.bin").write_bytes(b"0123456789")
    (files / "report.html").write_text("<script>alert(1)</script>")
    return f"/jobs/{job_id}/artifacts/digits.bin"


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=7-", 206, b"789"),
        ("bytes=8-99999", 206, b"89"),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=a-b", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("bytes=", 200, b"0123456789"),
        ("nonsense", 200, b"0123456789"),
    ],
)
def test_ranges(api: httpx.Client, ten_bytes: str, asked: str, status: int, content: bytes) -> None:
    answer = api.get(ten_bytes, headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, content)


def test_a_range_beyond_the_end_is_416_with_the_size(api: httpx.Client, ten_bytes: str) -> None:
    answer = api.get(ten_bytes, headers={"range": "bytes=10-12"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"
    assert set(answer.json()) == {"detail", "error_code", "hint"}


def test_several_ranges_are_sent_as_parts(api: httpx.Client, ten_bytes: str) -> None:
    answer = api.get(ten_bytes, headers={"range": "bytes=0-1,8-9"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert b"\r\n01\r\n" in answer.content
    assert b"\r\n89\r\n" in answer.content


def test_head_of_a_result_gives_its_size(api: httpx.Client, ten_bytes: str) -> None:
    answer = api.head(ten_bytes)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")


def test_an_html_result_runs_no_scripts(api: httpx.Client, ten_bytes: str) -> None:
    headers = api.get(ten_bytes.replace("digits.bin", "report.html")).headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-security-policy"].startswith("sandbox;")


def test_a_csv_has_the_decimal_mark_and_separator_that_were_asked_for(api: httpx.Client, redis_client: Any) -> None:
    job_id = complete(redis_client, "results.zip")
    row = Measurement(
        quantity="ThC",
        method="union",
        structure="tibial_cartilage",
        region="all",
        statistic="mean",
        value=1.5,
        unit="mm",
        n=9,
    )
    workspace = Workspace(DATA_DIR / "jobs" / job_id)
    workspace.create()
    MEASUREMENTS.save(workspace, (row, replace(row, value=float("nan"), n=0)))
    FLAGS.save(workspace, (THICK_SLICES,))
    url = f"/jobs/{job_id}/measurements"
    plain = list(csv.DictReader(io.StringIO(api.get(url, params={"format": "csv"}).text)))
    answer = api.get(url, params={"format": "csv", "decimal": "comma"})
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text), delimiter=";"))
    assert [row["value"].replace(",", ".") for row in rows] == [row["value"] for row in plain]
    assert [row["value"] for row in rows] == ["1,5", ""]
    assert [(list(line)[-1], line["use"], line["flag"]) for line in api.get(url).json()] == [
        ("oai_variable", "no", "CARTILAGE_NOT_USABLE")
    ] * 2
    assert {(row["use"], row["flag"]) for row in plain} == {("no", "CARTILAGE_NOT_USABLE")}
    tabs = api.get(url, params={"format": "csv", "decimal": "comma", "separator": "tab"}).text
    assert tabs == answer.text.replace(";", "\t")


def test_a_csv_with_commas_for_both_is_refused(api: httpx.Client, redis_client: Any) -> None:
    answer = api.get("/jobs/x/measurements", params={"decimal": "comma", "separator": "comma"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "separator"])
    assert api.get("/jobs/x/measurements", params={"decimals": "comma"}).status_code == 422
