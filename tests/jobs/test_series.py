"""Series of jobs over real HTTP: known slopes, any order, kept and deleted with their jobs, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from jobs import service
from jobs.errors import JobNotFound
from jobs.state.backend import open_backend
from pipeline.quantities import THC, THC_MATCHED
from pipeline.results_tree import PROVENANCE, ViewFile
from pipeline.workspace import write_json
from tests.support.finished_jobs import finished_job
from tests.support.processes import DATA_DIR
from tests.support.visits import DATES, SLOPE_MM, YEARS, visit_jobs

pytestmark = pytest.mark.slow

SERIES = "/series"


@pytest.fixture
def visits(redis_client: Any) -> Iterator[list[str]]:
    """Four visits of one knee with a known slope, in the order of time."""
    jobs = visit_jobs()
    yield jobs
    for job_id in jobs:
        open_backend().storage.remove(job_id)


def kept() -> list[str]:
    return sorted(path.name for path in (DATA_DIR / "comparisons").glob("[!.]*"))


def asked(jobs: list[str], times: tuple[str, ...]) -> dict[str, list[str]]:
    return {"job": jobs, "time": list(times)}


def test_a_known_slope_is_found_over_http_whichever_visit_is_given_first(api: httpx.Client, visits: list[str]) -> None:
    answer = api.get(SERIES, params=asked(visits, DATES))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [visit["job_id"] for visit in body["visits"]] == visits
    assert body["years"] == pytest.approx(YEARS, abs=1e-9)
    assert [bone["structure"] for bone in body["registration"]] == ["femur", "tibia", "patella"]
    slopes = [row for row in body["trends"] if row["quantity"] in {THC_MATCHED.id, THC.id} and row["slope"] is not None]
    assert len(slopes) >= 20
    assert max(abs(row["slope"] - SLOPE_MM) for row in slopes) < 0.010
    assert max(row["error"] for row in slopes) < 0.010
    (folder,) = kept()
    made = (DATA_DIR / "comparisons" / folder).stat().st_ino
    other = [2, 0, 3, 1]
    again = api.get(SERIES, params=asked([visits[k] for k in other], tuple(DATES[k] for k in other)))
    assert again.json() == body
    assert (DATA_DIR / "comparisons" / folder).stat().st_ino == made, "computed once"
    table = api.get(f"{SERIES}/trends.csv", params=asked(visits, DATES))
    assert table.headers["content-type"].startswith("text/csv")
    assert len(list(csv.DictReader(io.StringIO(table.text)))) == len(body["trends"])
    scene = api.get(f"{SERIES}/view/{ViewFile.SCENE}", params=asked(visits, DATES))
    assert (scene.headers["content-encoding"], scene.content[:4]) == ("gzip", b"OKS1")
    assert api.get(f"{SERIES}/view/nothing.bin", params=asked(visits, DATES)).status_code == 404
    assert DATES[0] not in "".join(path.read_text() for path in (DATA_DIR / "comparisons").rglob("*.json"))
    service.delete(visits[1])
    assert kept() == []


def test_another_model_at_a_visit_is_named_and_the_wrong_side_is_refused(api: httpx.Client, visits: list[str]) -> None:
    path = PROVENANCE.at(open_backend().storage.newest_workspace(visits[1]).files_dir)
    provenance = json.loads(path.read_text(encoding="utf-8"))
    provenance["model"]["identity"]["id"] = "another"
    write_json(path, provenance)
    body = api.get(SERIES, params=asked(visits[:3], DATES[:3])).json()
    assert any("two different models" in text for text in body["warnings"])
    assert {row["verdict"] for row in body["trends"]} == {"not known"}
    left = finished_job("left")
    answer = api.get(SERIES, params=asked([*visits[:2], left], DATES[:3]))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "NOT_COMPARABLE")
    assert "left and right" in answer.json()["detail"]
    assert "one knee" in answer.json()["hint"]
    open_backend().storage.remove(left)


@pytest.mark.parametrize(
    ("jobs", "times", "message", "hint"),
    [
        ("ab", ("2019-07-02", "2020-07-02"), "2 visits were given; expected at least 3", "add a visit"),
        ("", (), "0 visits were given", "add a visit"),
        ("abc", (), "3 analyses and 0 times", "Give the date of each scan"),
        ("abc", ("2019-07-02", "", "2021-07-02"), "Visit 2 of those given has no time", "Give the date"),
        ("abc", ("2019-07-02", "1", "2"), "expected one kind", "Give the date"),
        ("abc", ("2019-07-02", "July 2020", "2021-07-02"), "neither a date nor years", "2021-05-31"),
        ("abc", ("0", "nan", "2"), "not a number", "Give the date"),
        ("abc", ("2019-07-02", "2021-07-02", "20190702"), "the same time", "one visit"),
        ("abc", ("2019-07-02", "2021-07-02", "2222-07-02"), "203 years apart", "Check the dates"),
        ("aba", ("0", "1", "2"), "more than once", "one analysis for each visit"),
        ("abcdefghijklm", tuple(map(str, range(13))), "13 visits", "kneebox follow"),
    ],
)
def test_what_is_no_series_is_refused_with_a_hint(
    api: httpx.Client, jobs: str, times: tuple[str, ...], message: str, hint: str
) -> None:
    answer = api.get(SERIES, params=asked(list(jobs), times))
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (400, "NOT_COMPARABLE")
    assert message in body["detail"]
    assert hint in body["hint"]


def test_days_that_follow_one_another_are_two_visits(redis_client: Any) -> None:
    with pytest.raises(JobNotFound, match="Visit 1"):
        service.series([str(uuid.uuid4()) for _ in range(3)], ["2021-03-01", "2021-03-02", "2021-03-03"])
