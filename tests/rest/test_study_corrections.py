"""Rows of a study follow the outlines that readers correct, and readers are compared, over real HTTP."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from jobs.control.forgetting import forget
from jobs.state.backend import open_backend
from jobs.studies.folder import StudyFolder
from pipeline.anatomy import Structure
from pipeline.results_tree import MEASUREMENTS
from studies.findings import SAME_CONTENT
from tests.support.processes import DATA_DIR, running, wait_until
from tests.support.rest_client import own_server
from tests.support.small_study import COMPLETE, MANIFEST, analysed_study, give_analyses, tables
from tests.support.versions import body, completed, outlines, painted, stored_labels

pytestmark = pytest.mark.slow

LIMIT_S = 240.0
PLATE = Structure.MEDIAL_TIBIAL_CARTILAGE
ROW = 3


@pytest.fixture(scope="module")
def scans() -> Path:
    return analysed_study()


@pytest.fixture(scope="module")
def client(scans: Path, valkey: str) -> Iterator[httpx.Client]:
    give_analyses(DATA_DIR)
    allowed = {"STUDY_DATA_DIRS": str(scans)}
    with (
        own_server(**allowed) as url,
        running([sys.executable, "worker.py"], DATA_DIR / "worker.log", **allowed),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def study(client: httpx.Client, scans: Path) -> str:
    """The path of a complete study."""
    values = {
        "name": "corrected",
        "manifest": (scans / MANIFEST).read_text(encoding="utf-8"),
        "folder": scans.name,
        "options": {"perform_nsm": False},
        "accepted": [SAME_CONTENT],
        "run": True,
    }
    answer = client.post("/studies", json=values)
    assert answer.status_code == 201, answer.text
    path = f"/studies/{answer.json()['id']}"
    wait_until(lambda: client.get(path).json()["phase"] == "complete", seconds=LIMIT_S, what="the study")
    return path


def table(client: httpx.Client, study: str, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(f"{study}/tables/{name}").text)))


def version_of_row(client: httpx.Client, study: str) -> int:
    rows = client.get(f"{study}/rows").json()["rows"]
    return next(int(row["version"]) for row in rows if row["row"] == ROW)


def in_tables(client: httpx.Client, study: str) -> str:
    return next(row["version"] for row in table(client, study, "rows.csv") if row["row"] == str(ROW))


def corrected(client: httpx.Client, study: str, structure: Structure) -> str:
    """The id of a new version of the row."""
    answer = client.post(f"{study}/rows/{ROW}/edit")
    assert answer.status_code == 201, answer.text
    job = answer.json()["id"]
    completed(client, job)
    before = outlines(job).labels
    edited = painted(before, structure)
    newest = client.get(f"/jobs/{job}/versions").json()[-1]["version"]
    saved = client.post(f"/jobs/{job}/versions", json=body(before, edited, newest, initials="AB"))
    assert saved.status_code == 201, saved.text
    completed(client, saved.json()["id"])
    return str(saved.json()["id"])


def measured(client: httpx.Client, job: str) -> list[tuple[str, ...]]:
    lines = csv.reader(io.StringIO(client.get(f"/jobs/{job}/artifacts/{MEASUREMENTS.path}").text))
    return [tuple(line) for line in lines][1:]


def of_row(client: httpx.Client, study: str) -> list[tuple[str, ...]]:
    """The measurements of the row."""
    lines = csv.reader(io.StringIO(client.get(f"{study}/rows/{ROW}/artifacts/{MEASUREMENTS.path}").text))
    return [tuple(line) for line in lines][1:]


@pytest.fixture(scope="module")
def second(client: httpx.Client, study: str) -> str:
    """The id of version 2 of the row, which the tables have."""
    made = corrected(client, study, PLATE)
    wait_until(lambda: in_tables(client, study) == "2", seconds=LIMIT_S, what="tables with version 2")
    return made


def test_the_first_version_has_the_numbers_of_the_row(client: httpx.Client, study: str, second: str) -> None:
    first = client.get(f"/jobs/{second}/versions").json()[0]["id"]
    for line in table(client, study, "rows.csv"):
        assert line["version"] == ("2" if line["row"] == str(ROW) else "1" if line["state"] == "analysed" else "")
    base = next(iter(StudyFolder(DATA_DIR, study.rpartition("/")[2]).editing().values())).base
    assert (DATA_DIR / "analyses" / base / MEASUREMENTS.path).read_text(encoding="utf-8") == client.get(
        f"/jobs/{first}/artifacts/{MEASUREMENTS.path}"
    ).text


def test_tables_follow_a_corrected_version(client: httpx.Client, study: str, second: str, scans: Path) -> None:
    before = pd.read_csv(scans / "out" / "measurements.csv", keep_default_na=False)
    after = pd.read_csv(io.StringIO(client.get(f"{study}/tables/measurements.csv").text), keep_default_na=False)
    lines = csv.reader(io.StringIO(client.get(f"{study}/tables/measurements.csv").text))
    assert [tuple(line[5:-3]) for line in lines if line[0] == str(ROW)] == measured(client, second)
    others = after.row != ROW
    pd.testing.assert_frame_equal(after[others], before[before.row != ROW])
    assert set(after[~others].version) == {2}
    changes = table(client, study, "changes.csv")
    with (scans / "out" / "changes.csv").open(encoding="utf-8") as stream:
        unchanged = list(csv.DictReader(stream))
    assert {(line["from_row"], line["to_row"]) for line in changes} == {("2", "3"), ("3", "4"), ("2", "4")}
    assert [line for line in changes if str(ROW) in (line["from_row"], line["to_row"])] != unchanged
    assert [line for line in changes if (line["from_row"], line["to_row"]) == ("2", "4")] == [
        line for line in unchanged if (line["from_row"], line["to_row"]) == ("2", "4")
    ]
    assert "corrected by readers" in client.get(f"{study}/tables/methods.txt").text
    assert client.get(study).json()["phase"] == "complete"


def test_tables_of_a_corrected_study_do_not_depend_on_when_they_are_written(
    client: httpx.Client, study: str, second: str
) -> None:
    folder = StudyFolder(DATA_DIR, study.rpartition("/")[2])
    before = tables(folder.tables)
    for path in folder.tables.iterdir():
        path.unlink()
    folder.written.unlink()
    wait_until(folder.written.exists, seconds=LIMIT_S, what="tables that are written again")
    assert tables(folder.tables) == before


def test_a_restored_version_gives_the_first_numbers_again(client: httpx.Client, study: str, second: str) -> None:
    before = of_row(client, study)
    first = client.get(f"/jobs/{second}/versions").json()[0]["id"]
    answer = client.post(f"/jobs/{first}/restore", json={"newest": 2})
    assert answer.status_code == 201, answer.text
    wait_until(lambda: version_of_row(client, study) == 3, seconds=LIMIT_S, what="version 3")
    values = [line[:6] for line in of_row(client, study)]
    assert values == [line[:6] for line in measured(client, first)]
    assert values != [line[:6] for line in before]


def test_a_correction_continues_after_its_job_was_deleted(
    client: httpx.Client, study: str, second: str, tmp_path: Path
) -> None:
    newest = client.get(f"/jobs/{second}/versions").json()[-1]
    left = stored_labels(client, newest["id"], tmp_path)
    numbers = measured(client, newest["id"])
    assert client.delete(f"/jobs/{second}?versions=all").status_code == 204
    assert version_of_row(client, study) == newest["version"]
    again = client.post(f"{study}/rows/{ROW}/edit").json()
    assert again["version"] == newest["version"]
    assert client.post(f"{study}/rows/{ROW}/edit").json() == again, "one job for each row"
    completed(client, again["id"])
    assert np.array_equal(stored_labels(client, again["id"], tmp_path), left)
    assert measured(client, again["id"]) == numbers
    corrected(client, study, Structure.FEMORAL_CARTILAGE)
    number = newest["version"] + 1
    wait_until(lambda: version_of_row(client, study) == number, seconds=LIMIT_S, what="the next version")


def test_rows_without_results_or_with_a_changed_scan_cannot_be_corrected(client: httpx.Client, study: str) -> None:
    assert client.post(f"{study}/rows/6/edit").status_code == 404
    assert client.post(f"{study}/rows/99/edit").status_code == 404
    folder = analysed_study()
    content = (folder / "copy.nrrd").read_bytes()
    try:
        (folder / "copy.nrrd").write_bytes((folder / "v1.nrrd").read_bytes())
        answer = client.post(f"{study}/rows/5/edit")
        assert (answer.status_code, answer.json()["error_code"]) == (409, "STUDY_CONFLICT")
    finally:
        (folder / "copy.nrrd").write_bytes(content)


def test_two_readers_are_compared(client: httpx.Client, study: str, second: str) -> None:
    def judge(row: int, initials: str, state: str) -> None:
        answer = client.put(f"{study}/rows/{row}/review", json={"state": state, "initials": initials, "note": "n"})
        assert answer.status_code == 200, answer.text

    for row, first, other in ((2, "accepted", "accepted"), (4, "rejected", "accepted"), (5, "rejected", "rejected")):
        judge(row, "AB", first)
        judge(row, "cd ", other)
    judge(ROW, "AB", "accepted")
    shown = client.get(f"{study}/readers").json()
    assert (shown["knees"], shown["by_all"]) == (COMPLETE, 3)
    assert [(item["reader"], item["remaining"]) for item in shown["readers"]] == [("AB", 0), ("CD", 1)]
    (pair,) = shown["pairs"]
    assert (pair["knees"], pair["agreed"]) == (3, 2)
    assert pair["kappa"] == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    assert shown["side_by_side"][0]["states"] == {"AB": "rejected", "CD": "accepted"}, "disagreements first"
    assert [knee["missing"] for knee in shown["side_by_side"] if knee["row"] == ROW] == [["CD"]]
    for reader, expected in (("ab", 4), ("CD", 3), ("XY", 0), ("", 4)):
        knees = client.get(f"{study}/gallery", params={"reader": reader}).json()["knees"]
        assert sum(knee["review"] != "" for knee in knees) == expected, reader
    assert {knee["row"] for knee in knees if knee["review"] == "disagreement"} == {4}

    expected = ["accepted", "accepted", "disagreement", "rejected"]

    def exported() -> bool:
        reviews = [line["review"] for line in table(client, study, "rows.csv")]
        return reviews[:4] == expected and bool(table(client, study, "agreement.csv"))

    wait_until(exported, seconds=LIMIT_S, what="reviews in the tables")
    (line,) = table(client, study, "agreement.csv")
    assert (line["first_reader"], line["second_reader"], line["knees"], line["kappa"]) == ("AB", "CD", "3", "0.4000")
    assert line["rejected_accepted"] == "1"
    assert len(table(client, study, "reviews.csv")) == 7


def test_a_review_holds_for_the_version_that_was_seen(client: httpx.Client, study: str, second: str) -> None:
    before = client.get(f"{study}/readers").json()["by_all"]
    client.put(f"{study}/rows/{ROW}/review", json={"state": "accepted", "initials": "CD"})
    assert client.get(f"{study}/readers").json()["by_all"] == before + 1
    number = version_of_row(client, study) + 1
    corrected(client, study, PLATE)
    wait_until(lambda: version_of_row(client, study) == number, seconds=LIMIT_S, what="the next version")
    assert client.get(f"{study}/readers").json()["by_all"] == before


def test_a_forgotten_subject_has_no_job_in_which_it_was_corrected(client: httpx.Client, study: str) -> None:
    job = client.post(f"{study}/rows/{ROW}/edit").json()["id"]
    entries = StudyFolder(DATA_DIR, study.rpartition("/")[2]).journal.read()
    others = {entries.outcomes[row].address for row in (5, 6)}
    forget("S0")
    assert client.get(f"/status/{job}").status_code == 404
    assert open_backend().store.load(job) is None
    assert {path.name for path in (DATA_DIR / "analyses").iterdir()} & entries.addresses == others


def test_a_deleted_study_leaves_no_job_in_which_its_rows_were_corrected(client: httpx.Client, study: str) -> None:
    job = client.post(f"{study}/rows/5/edit").json()["id"]
    assert client.get(f"/status/{job}").status_code == 200
    assert client.delete(study).status_code == 204
    assert client.get(f"/status/{job}").status_code == 404
    assert open_backend().store.load(job) is None
    assert not [path for path in (DATA_DIR / "analyses").rglob("*") if path.is_file()]
