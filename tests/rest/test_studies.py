"""Studies over real HTTP: from the manifest to the tables, and what a hostile client gets."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from studies.findings import SAME_CONTENT
from tests.support.processes import DATA_DIR, running, wait_until
from tests.support.rest_client import own_server
from tests.support.small_study import COMPLETE, MANIFEST, analysed_study, give_analyses, tables

pytestmark = pytest.mark.slow

LIMIT_S = 300.0
OPTIONS = {"perform_nsm": False}


@pytest.fixture(scope="module")
def scans() -> Path:
    return analysed_study()


@pytest.fixture(scope="module")
def client(scans: Path, valkey: str) -> Iterator[httpx.Client]:
    """Of a server and a worker whose operator allows the folder of the small study."""
    secret = DATA_DIR / "secret.csv"
    secret.write_text("path,subject\nx,y\n", encoding="utf-8")
    give_analyses(DATA_DIR)
    allowed = {"STUDY_DATA_DIRS": str(scans)}
    with (
        own_server(**allowed) as url,
        running([sys.executable, "worker.py"], DATA_DIR / "worker.log", **allowed),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def manifest(scans: Path) -> str:
    return (scans / MANIFEST).read_text(encoding="utf-8")


def made(client: httpx.Client, **values: Any) -> dict[str, Any]:
    answer = client.post("/studies", json={"name": "small", "options": OPTIONS} | values)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def state(client: httpx.Client, study: dict[str, Any]) -> dict[str, Any]:
    answer = client.get(f"/studies/{study['id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def in_phase(client: httpx.Client, study: dict[str, Any], phase: str) -> dict[str, Any]:
    wait_until(lambda: state(client, study)["phase"] == phase, seconds=LIMIT_S, what=f"a study that is {phase}")
    return state(client, study)


@pytest.fixture(scope="module")
def ended(client: httpx.Client, scans: Path) -> dict[str, Any]:
    """A study that was checked, started with its doubts accepted, and has ended."""
    study = made(client, manifest=manifest(scans), folder=scans.name)
    checked = in_phase(client, study, "checked")
    assert (checked["rows"], checked["ready"], checked["doubts"]) == (6, COMPLETE - 1, {SAME_CONTENT: 2})
    assert (checked["complete"], checked["tables"]) == (0, False)
    answer = client.post(f"/studies/{study['id']}/start", json={"accepted": [SAME_CONTENT]})
    assert (answer.status_code, answer.json()["ready"]) == (202, COMPLETE + 1)
    return in_phase(client, study, "complete")


def test_the_dry_run_names_every_row_with_reason_and_remedy(client: httpx.Client, ended: dict[str, Any]) -> None:
    page = client.get(f"/studies/{ended['id']}/rows", params={"state": "left_out"}).json()
    (row,) = page["rows"]
    assert (page["total"], row["code"], row["path"]) == (1, "MISSING_FILE", "gone.nrrd")
    assert row["message"]
    assert row["remedy"]
    found = list(csv.DictReader(io.StringIO(client.get(f"/studies/{ended['id']}/findings.csv").text)))
    assert {(item["row"], item["code"]) for item in found} >= {("7", "MISSING_FILE"), ("2", SAME_CONTENT)}


def test_the_tables_are_those_of_the_command_line(client: httpx.Client, ended: dict[str, Any], scans: Path) -> None:
    expected = tables(scans / "out")
    for name, content in expected.items():
        answer = client.get(f"/studies/{ended['id']}/tables/{name}")
        assert (answer.status_code, answer.content) == (200, content), name
    packed = client.get(f"/studies/{ended['id']}/tables.zip")
    assert packed.headers["content-disposition"] == 'attachment; filename="small_tables.zip"'
    with zipfile.ZipFile(io.BytesIO(packed.content)) as files:
        assert {name: files.read(name) for name in files.namelist()} == expected
    parquet = client.get(f"/studies/{ended['id']}/tables/measurements.parquet")
    assert len(pd.read_parquet(io.BytesIO(parquet.content))) > 1000


def test_rows_are_given_in_pages_and_can_be_searched(client: httpx.Client, ended: dict[str, Any]) -> None:
    def page(**query: Any) -> dict[str, Any]:
        answer = client.get(f"/studies/{ended['id']}/rows", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert [row["row"] for row in page()["rows"]] == [2, 3, 4, 5, 6, 7]
    assert [row["row"] for row in page(offset=2, limit=2)["rows"]] == [4, 5]
    assert [row["row"] for row in page(text="s0")["rows"]] == [2, 3, 4]
    assert page(offset=100)["rows"] == []
    complete = page(state="analysed")["rows"]
    assert [row["analysis"] != "" for row in complete] == [True] * COMPLETE
    assert page(state="failed")["rows"][0]["code"] == "UNSUPPORTED_IMAGE"


def test_knees_are_ranked_shown_and_reviewed(client: httpx.Client, ended: dict[str, Any]) -> None:
    base = f"/studies/{ended['id']}"
    knees = client.get(f"{base}/gallery").json()["knees"]
    assert [knee["rank"] for knee in knees] == [1, 2, 3, 4]
    assert {knee["row"] for knee in knees} == {2, 3, 4, 5}
    picture = client.get(f"{base}/rows/2/thumbnail")
    assert (picture.headers["content-type"], picture.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert "Kneebox" in client.get(f"{base}/rows/2/artifacts/report.html").text
    answer = client.put(f"{base}/rows/3/review", json={"state": "rejected", "note": "motion"})
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    after = client.get(f"{base}/gallery").json()
    assert after["reviewed"] == {"accepted": 0, "to_be_corrected": 0, "rejected": 1}
    client.put(f"{base}/rows/3/review", json={"state": ""})
    assert client.get(f"{base}/gallery").json()["reviewed"]["rejected"] == 0
    for way in (
        "rows/6/thumbnail",
        "rows/99/thumbnail",
        "rows/2/artifacts/analysis.json",
        "rows/2/artifacts/..%2f.lock",
    ):
        assert client.get(f"{base}/{way}").status_code == 404, way
    assert client.put(f"{base}/rows/6/review", json={"state": "accepted"}).status_code == 404
    assert client.put(f"{base}/rows/2/review", json={"state": "good"}).status_code == 422
    assert client.put(f"{base}/rows/2/review", json={"stat": "accepted"}).status_code == 422


def test_mean_maps_are_made_on_request_and_counted(client: httpx.Client, ended: dict[str, Any]) -> None:
    base = f"/studies/{ended['id']}/maps"
    asked = {"figure": "thickness_mm", "visit": "V00", "column": "group", "first": "case", "second": "control"}
    answer = client.post(base, json=asked)
    assert answer.status_code == 202, answer.text
    path = f"{base}/{answer.json()['number']}"
    wait_until(lambda: client.get(path).json()["ready"], seconds=60, what="maps")
    view = client.get(path).json()
    case, control = view["groups"]
    assert (case["title"], case["knees"], case["subjects"], control["knees"]) == ("case", 1, 1, 1)
    assert (case["maps"]["femur"], view["outdated"]) == (1, False)
    for name in view["files"]:
        assert client.get(f"{path}/{name}").status_code == 200, name
    assert client.get(f"{path}/scene.bin").content[:4] == b"OKS1"
    with np.load(io.BytesIO(client.get(f"{path}/femur_maps.npz").content)) as arrays:
        assert set(arrays["first_n"]) == {0, 1}
        assert np.isnan(arrays["t"]).all(), "one knee in a group has no variance"
    assert client.post(base, json=asked).json() == view, "made already"
    for wrong in ({"figure": "x"}, {"visit": "V09"}, {"column": "x"}, {"first": "x"}, {"second": "case"}):
        assert client.post(base, json=asked | wrong).status_code == 422, wrong
    assert client.get(f"{base}/1").status_code == 404
    assert client.get(f"{path}/..%2fstudy.json").status_code == 404


def test_a_study_of_uploaded_scans_has_their_rows(client: httpx.Client, scans: Path) -> None:
    ids = []
    for visit in range(2):
        content = (scans / f"v{visit}.nrrd").read_bytes()
        answer = client.post("/scans", files={"labels": (f"S0_V{visit:02d}.nrrd", content)})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["scan_id"])
    rows = [{"scan_id": ids[visit], "subject": "S0", "visit": f"V{visit:02d}", "group": "case"} for visit in range(2)]
    options = OPTIONS | {"retain_results": False}
    study = made(client, name="dropped/../files", scans=rows, run=True, options=options)
    assert study["options"]["retain_results"] is True, "without effect in a study, so that all doors give the same text"
    after = in_phase(client, study, "complete")
    assert (after["rows"], after["complete"]) == (2, 2)
    listed = client.get(f"/studies/{study['id']}/rows").json()["rows"]
    assert [row["path"] for row in listed] == ["00001_S0_V00.nrrd", "00002_S0_V01.nrrd"]
    assert "group" in client.get(f"/studies/{study['id']}/tables/rows.csv").text.splitlines()[0]
    answer = client.post(f"/studies/{study['id']}/rows/2/edit")
    assert answer.status_code == 201, answer.text
    assert client.get(f"/status/{answer.json()['id']}").json()["status"] != "error"
    gone = client.post("/studies", json={"name": "again", "scans": rows})
    assert (gone.status_code, gone.json()["error_code"]) == (404, "SCAN_NOT_FOUND")
    name = client.get(f"/studies/{study['id']}/tables.zip").headers["content-disposition"]
    assert name == 'attachment; filename="dropped_.._files_tables.zip"'
    assert client.delete(f"/studies/{study['id']}").status_code == 204
    assert not (DATA_DIR / "studies" / study["id"]).exists()


def test_a_study_from_the_names_in_a_folder_with_its_own_retention(client: httpx.Client, scans: Path) -> None:
    study = made(client, folder=scans.name, only="v*.nrrd", pattern="{subject}", expiry_days=2)
    checked = in_phase(client, study, "checked")
    assert checked["rows"] == 3
    kept = datetime.fromisoformat(checked["expires_at"]) - datetime.fromisoformat(checked["created_at"])
    assert kept.total_seconds() == pytest.approx(2 * 86400, abs=60)
    path = f"/studies/{study['id']}/expiry"
    assert client.put(path, json={"days": 0}).json()["expires_at"] is None
    assert client.put(path, json={"days": 0.5}).json()["expires_at"] > checked["created_at"]
    assert client.put(path, json={"days": -1}).status_code == 422
    assert client.put(path, json={}).status_code == 422
    client.delete(f"/studies/{study['id']}")


def test_actions_that_the_state_does_not_allow_are_conflicts(client: httpx.Client, ended: dict[str, Any]) -> None:
    for action in ("pause", "cancel"):
        answer = client.post(f"/studies/{ended['id']}/{action}")
        assert (answer.status_code, answer.json()["error_code"]) == (409, "STUDY_CONFLICT")
        assert answer.json()["hint"]


def test_no_path_leads_out_of_the_allowed_folders(client: httpx.Client, scans: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.nrrd"
    outside.write_bytes((scans / "v0.nrrd").read_bytes())
    (scans / "link.nrrd").unlink(missing_ok=True)
    (scans / "link.nrrd").symlink_to(outside)
    folder = scans / "series"
    folder.mkdir(exist_ok=True)
    (folder / "slice.dcm").unlink(missing_ok=True)
    (folder / "slice.dcm").symlink_to(outside)
    (scans / "way").unlink(missing_ok=True)
    (scans / "way").symlink_to(tmp_path)
    (scans / "inside.nrrd").unlink(missing_ok=True)
    (scans / "inside.nrrd").symlink_to(scans / "v2.nrrd")
    hostile = [
        str(outside),
        str(tmp_path / "none.nrrd"),  # the answer is the same as for one that exists
        f"../{outside.name}",
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "~/.bashrc",
        "link.nrrd",
        "way/outside.nrrd",
        "series",
        ".",
        "..\\..\\secret.csv",
        f"/proc/self/root{outside}",
        "v0.nrrd\0.dcm",
    ]
    lines = [f'"{path}",S{number},V00' for number, path in enumerate([*hostile, "inside.nrrd"])]
    study = made(client, name="hostile", folder=scans.name, manifest="path,subject,visit\n" + "\n".join(lines) + "\n")
    wait_until(lambda: state(client, study)["phase"] in ("checked", "invalid"), seconds=LIMIT_S, what="the check")
    rows = client.get(f"/studies/{study['id']}/rows").json()["rows"]
    codes = {row["path"]: row["code"] for row in rows}
    assert len(rows) == len(hostile) + 1
    assert [path for path, code in codes.items() if code != "NOT_ALLOWED"] == ["inside.nrrd"]
    text = client.get(f"/studies/{study['id']}/rows").text
    assert str(scans) not in text
    assert "root:" not in text
    client.delete(f"/studies/{study['id']}")


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({}, 422, None),
        ({"name": ""}, 422, "OPTIONS_ERROR"),
        ({"name": "x" * 65, "folder": "small_study"}, 422, "OPTIONS_ERROR"),
        ({"name": "a\u0000b", "folder": "small_study"}, 422, "OPTIONS_ERROR"),
        ({"name": "x"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "none"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "../etc"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study/../.."}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study/way"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study\u0000"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study", "layout": "none"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study", "pattern": "{side}"}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study", "manifest": "no columns"}, 400, "INVALID_MANIFEST"),
        ({"name": "x", "folder": "small_study", "manifest": "\u0000\u0001"}, 400, "INVALID_MANIFEST"),
        ({"name": "x", "folder": "small_study", "options": {"side": "both"}}, 422, None),
        ({"name": "x", "folder": "small_study", "options": {"segmentation_model": "../x"}}, 422, None),
        ({"name": "x", "folder": "small_study", "accepted": ["MISSING_FILE"]}, 422, "OPTIONS_ERROR"),
        ({"name": "x", "folder": "small_study", "accept": ["SAME_FILE"]}, 422, None),
        ({"name": "x", "scans": []}, 400, "INPUT_ERROR"),
        ({"name": "x", "scans": [{"scan_id": "../../jobs", "subject": "s"}]}, 404, "SCAN_NOT_FOUND"),
        ({"name": "x", "scans": [{"scan_id": "a", "subject": "s", "side": 3}]}, 422, None),
        ({"name": "x", "scans": "all"}, 422, None),
        ({"name": "x", "manifest": 7}, 422, None),
    ],
)
def test_values_that_cannot_be_used_are_refused(
    client: httpx.Client, values: dict[str, Any], status: int, code: str | None
) -> None:
    before = set((DATA_DIR / "studies").glob("*"))
    answer = client.post("/studies", json=values)
    assert answer.status_code == status, answer.text
    assert (answer.json().get("error_code") or None) == code
    assert answer.json()["detail"]
    assert str(DATA_DIR) not in answer.text
    assert set((DATA_DIR / "studies").glob("*")) == before, "nothing is left"


def test_ids_and_names_that_do_not_exist_are_not_found(client: httpx.Client, ended: dict[str, Any]) -> None:
    for study in ("none", "..%2f..%2fjobs", "01234567-89ab-cdef-0123-456789abcdef"):
        for way in ("", "/rows", "/tables/rows.csv", "/tables.zip", "/findings.csv"):
            answer = client.get(f"/studies/{study}{way}")
            assert answer.status_code == 404, (study, way)
    for name in ("none.csv", "..%2fstudy.json", "../journal.jsonl", ".part"):
        assert client.get(f"/studies/{ended['id']}/tables/{name}").status_code == 404
    assert client.get(f"/studies/{ended['id']}/rows", params={"limit": 100_000}).status_code == 422
    assert client.get(f"/studies/{ended['id']}/rows", params={"offset": -1}).status_code == 422
    assert client.get(f"/studies/{ended['id']}/rows", params={"stat": "x"}).status_code == 422


def test_a_manifest_that_is_too_large_is_refused(client: httpx.Client) -> None:
    answer = client.post("/studies", content=bytes(33 << 20))
    assert answer.status_code == 413
    rows = "path,subject\n" + "a,b\n" * 200_001
    answer = client.post("/studies", json={"name": "x", "folder": "small_study", "manifest": rows})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_MANIFEST")
