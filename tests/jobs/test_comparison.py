"""Comparisons of jobs over real HTTP: computed in a separate process, stored, updated, and deleted with their jobs."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs import service
from jobs.control.expiry import purge_expired
from jobs.errors import ComparisonFailed, JobNotFinished, JobNotFound, ResultNotFound
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import Status
from pipeline.errors import NotComparable
from tests.support.finished_jobs import finished_job
from tests.support.processes import DATA_DIR, ROOT, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(redis_client: Any) -> Iterator[tuple[str, str]]:
    """A right knee and its mirror image, each a complete job."""
    first, second = finished_job("right"), finished_job("left")
    yield first, second
    for job_id in (first, second):
        open_backend().storage.remove(job_id)


def kept() -> list[str]:
    return sorted(path.name for path in (DATA_DIR / "comparisons").glob("[!.]*"))


def test_two_jobs_are_compared_over_http(api: httpx.Client, pair: tuple[str, str]) -> None:
    url = f"/compare/{pair[0]}/{pair[1]}"
    answer = api.get(url)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["a"]["job_id"], body["b"]["job_id"]) == pair
    assert (body["a"]["side"], body["b"]["side"], body["mirrored"]) == ("right", "left", True)
    assert [bone["structure"] for bone in body["registration"]] == ["femur", "tibia", "patella"]
    assert max(abs(row["change"]) for row in body["changes"] if row["quantity"] == "ThC_matched") < 1e-3
    table = api.get(f"{url}/changes.csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == len(body["changes"])
    scene = api.get(f"{url}/view/scene.bin")
    assert scene.headers["content-encoding"] == "gzip"
    assert scene.content.startswith(b"OKS1")
    assert [name for name in kept() if name.startswith(".")] == []
    for name in ("../comparison.json", "nothing.bin", "Scene.bin"):
        assert api.get(f"{url}/view/{name}").status_code == 404


def test_a_comparison_is_computed_once_and_again_after_a_rerun(pair: tuple[str, str]) -> None:
    texts: list[str] = []
    service.comparison(*pair, report=lambda _, text: texts.append(text))
    assert any("femur" in text for text in texts)
    folder = open_backend().storage.comparison_folder(*pair)
    made = folder.stat().st_ino
    begun = time.monotonic()
    service.comparison(*pair)
    assert time.monotonic() - begun < 0.2
    assert folder.stat().st_ino == made
    open_backend().store.change(pair[1], lambda _: {"attempt": 2})
    service.comparison(*pair)
    assert folder.stat().st_ino != made


@pytest.mark.parametrize("which", [0, 1])
def test_a_comparison_is_deleted_with_either_of_its_jobs(pair: tuple[str, str], which: int) -> None:
    service.comparison(*pair)
    assert kept() == [f"{pair[0]}_{pair[1]}"]
    service.delete(pair[which])
    assert kept() == []


def test_a_comparison_is_deleted_when_a_job_expires(pair: tuple[str, str]) -> None:
    service.comparison(*pair)
    record = open_backend().store.load(pair[0])
    assert record is not None
    open_backend().storage.write_record(replace(record, expires_at=now()))
    assert purge_expired() == [pair[0]]
    assert kept() == []


def test_the_error_names_the_job_that_cannot_be_compared(api: httpx.Client, pair: tuple[str, str]) -> None:
    unknown = str(uuid.uuid4())
    with pytest.raises(JobNotFound, match="Second analysis"):
        service.comparison(pair[0], unknown)
    with pytest.raises(JobNotFound, match="First analysis"):
        service.comparison("../jobs", pair[0])
    assert api.get(f"/compare/{pair[0]}/{unknown}").status_code == 404
    open_backend().store.change(pair[1], lambda _: {"status": Status.PROCESSING})
    with pytest.raises(JobNotFinished, match="Second analysis"):
        service.comparison(*pair)
    assert api.get(f"/compare/{pair[0]}/{pair[1]}").status_code == 400
    open_backend().store.change(pair[1], lambda _: {"status": Status.COMPLETE})
    open_backend().storage.newest_workspace(pair[1]).manifest_path.unlink()
    with pytest.raises(ResultNotFound, match="Second analysis"):
        service.comparison(*pair)
    assert kept() == []


def test_an_incomplete_analysis_is_rejected_and_leaves_no_files(api: httpx.Client, pair: tuple[str, str]) -> None:
    (open_backend().storage.newest_workspace(pair[0]).work_dir / "thickness.json").unlink()
    with pytest.raises(NotComparable, match="incomplete"):
        service.comparison(*pair)
    answer = api.get(f"/compare/{pair[0]}/{pair[1]}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "NOT_COMPARABLE")
    assert list((DATA_DIR / "comparisons").glob("*.part")) == []


def test_a_crashed_process_is_a_failure_and_leaves_no_files(pair: tuple[str, str]) -> None:
    path = open_backend().storage.newest_workspace(pair[0]).work_dir / "thickness.0_thickness_mm.npy"
    path.unlink()
    path.write_bytes(b"damaged")
    with pytest.raises(ComparisonFailed):
        service.comparison(*pair)
    assert kept() == []


def test_the_process_ends_with_its_server(pair: tuple[str, str]) -> None:
    """A server is killed during a comparison; its child process must end."""
    program = "import sys; from jobs import service; service.comparison(*sys.argv[1:])"
    server = subprocess.Popen([sys.executable, "-c", program, *pair], cwd=ROOT, env=os.environ)
    wait_until(lambda: children(server.pid), what="the comparison's process")
    (child,) = children(server.pid)
    server.kill()
    server.wait()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), seconds=5, what="the end of the comparison's process")


def children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(text) for text in found.split()]


def test_the_scene_contains_the_difference(pair: tuple[str, str]) -> None:
    data = gzip.decompress(service.comparison_view(*pair, "scene.bin").read_bytes())
    header = json.loads(data[8 : 8 + int.from_bytes(data[4:8], "little")])
    channel = next(item for item in header["channels"] if item["name"] == "change")
    assert channel["range"] == [-1.0, 1.0]
    assert [mesh["key"] for mesh in header["meshes"]] == ["femur", "tibia", "patella"]
