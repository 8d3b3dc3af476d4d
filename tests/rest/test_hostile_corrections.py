"""Corrections that are damaged, wrong or malicious: each gets the right answer, and nothing of it is left."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.types import Segmentation
from tests.support.finished_jobs import finished_job, write_labels
from tests.support.processes import DATA_DIR
from tests.support.rest_client import job_folders
from tests.support.versions import body, outlines, packed

MANY = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """A complete analysis that is never changed, and its outlines."""

    client: httpx.Client
    job: str
    outlines: Segmentation
    folder: Path


@pytest.fixture(scope="module")
def corrected(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corrected]:
    job = finished_job()
    folder = tmp_path_factory.mktemp("maps")
    with httpx.Client(base_url=server, timeout=60) as client:
        yield Corrected(client=client, job=job, outlines=outlines(job), folder=folder)


def gz(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9)).decode()


def raw(*triples: tuple[int, int, int]) -> bytes:
    return base64.b64decode(packed(*triples))


def bare(corrected: Corrected) -> dict[str, object]:
    """Every bone erased."""
    labels = corrected.outlines.labels
    return body(labels, np.where(np.isin(labels, (1, 2, 3)), 0, labels).astype(np.uint8))


def same(corrected: Corrected) -> dict[str, object]:
    first = int(corrected.outlines.labels.reshape(-1)[0])
    return {"runs": packed((0, 1, first)), "newest": 1}


def encoded(data: bytes) -> dict[str, object]:
    return {"runs": base64.b64encode(data).decode(), "newest": 1}


RUN = packed((0, 1, 1))
RUNS: dict[str, tuple[Any, int]] = {
    "not base64": ({"runs": "@@@@", "newest": 1}, 422),
    "empty": ({"runs": "", "newest": 1}, 422),
    "no runs": ({"newest": 1}, 422),
    "runs as a list": ({"runs": [[0, 1, 1]], "newest": 1}, 422),
    "not gzip": (encoded(b"0123456789ab"), 422),
    "gzip cut off": (encoded(raw((0, 1, 1))[:-9]), 422),
    "gzip of nothing": ({"runs": gz(b""), "newest": 1}, 422),
    "no whole triple": ({"runs": gz(b"0123456789abc"), "newest": 1}, 422),
    "more after the end": (encoded(raw((0, 1, 1)) + b"rest"), 422),
    "two streams": (encoded(raw((0, 1, 1)) * 2), 422),
    "a run of no voxel": ({"runs": packed((0, 0, 1)), "newest": 1}, 422),
    "label 10": ({"runs": packed((0, 1, 10)), "newest": 1}, 422),
    "label of 32 bits": ({"runs": packed((0, 1, 2**32 - 1)), "newest": 1}, 422),
    "beyond the end": ({"runs": packed((0, 2**31, 1)), "newest": 1}, 422),
    "gap beyond the end": ({"runs": packed((2**32 - 1, 1, 1)), "newest": 1}, 422),
    "sum beyond 64 bits": ({"runs": packed(*[(2**32 - 1, 2**32 - 1, 1)] * 1000), "newest": 1}, 422),
    "a bomb": ({"runs": gz(bytes(12 * MANY)), "newest": 1}, 413),
    "nothing changes": (same, 422),
    "no bone left": (bare, 422),
    "no number": ({"runs": RUN, "newest": "new"}, 422),
    "number 0": ({"runs": RUN, "newest": 0}, 422),
    "an endless note": ({"runs": RUN, "newest": 1, "note": "n" * 1001}, 422),
    "a note of numbers": ({"runs": RUN, "newest": 1, "note": 7}, 422),
    "endless initials": ({"runs": RUN, "newest": 1, "initials": "AB" * 11}, 422),
    "a misspelt field": ({"run": RUN, "newest": 1}, 422),
    "a list": ([RUN], 422),
    "nine megabytes": ({"runs": "A" * 9_000_000, "newest": 1}, 413),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_bad_change_is_refused(corrected: Corrected, case: str) -> None:
    request, status = RUNS[case]
    before = job_folders()
    given = request(corrected) if callable(request) else request
    answer = corrected.client.post(f"/jobs/{corrected.job}/versions", json=given)
    assert answer.status_code == status, answer.text
    assert_refused(answer, before)


def assert_refused(answer: httpx.Response, before: set[str]) -> None:
    """The answer says what to do, quotes no path, and nothing is left."""
    text = answer.text
    assert str(DATA_DIR) not in text
    assert "detail" in answer.json()
    assert "Traceback" not in text
    assert job_folders() == before
    assert not list((DATA_DIR / "incoming").glob("*"))


def shown(labels: np.ndarray, corrected: Corrected, **grid: Any) -> bytes:
    moved = replace(corrected.outlines.grid, **grid)
    knee: Any = SimpleNamespace(labels=labels.astype(np.uint8), grid=moved)  # its labels may be any
    return write_labels(corrected.folder / "map.nrrd", knee).read_bytes()


def edited(corrected: Corrected) -> np.ndarray:
    labels = corrected.outlines.labels.copy()
    places = np.argwhere(labels == Structure.MEDIAL_TIBIAL_CARTILAGE)
    labels[tuple(places[0])] = 0
    return labels


def without_bones(corrected: Corrected) -> bytes:
    labels = corrected.outlines.labels
    return shown(np.where(labels < Structure.FEMORAL_CARTILAGE, 0, labels), corrected)


def archive(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed_files:
        packed_files.writestr(name, data)
    return stream.getvalue()


def promising(corrected: Corrected) -> bytes:
    """A header that promises 60,000 voxels along each axis."""
    data = shown(edited(corrected), corrected)
    head, _, rest = data.partition(b"\n\n")
    sizes = next(line for line in head.split(b"\n") if line.startswith(b"sizes:"))
    return head.replace(sizes, b"sizes: 60000 60000 60000") + b"\n\n" + rest


Content = Callable[[Corrected], bytes]
MAPS: dict[str, tuple[str, Content, dict[str, str], int]] = {
    "an empty file": ("map.nrrd", lambda _: b"", {}, 400),
    "a program": ("map.exe", lambda _: b"MZ", {}, 400),
    "text": ("map.nrrd", lambda _: b"hello" * 100, {}, 400),
    "cut off": ("map.nrrd", lambda c: shown(edited(c), c)[:-500], {}, 400),
    "a header that promises too much": ("map.nrrd", promising, {}, 400),
    "another place": ("map.nrrd", lambda c: shown(edited(c), c, origin_mm=np.array([500.0, 0, 0])), {}, 400),
    "half a voxel off": (
        "map.nrrd",
        lambda c: shown(edited(c), c, origin_mm=c.outlines.grid.to_mm([[0.5, 0.5, 0.5]])[0]),
        {},
        400,
    ),
    "only background": ("map.nrrd", lambda c: shown(0 * edited(c), c), {}, 400),
    "unknown labels": ("map.nrrd", lambda c: shown(edited(c) + 40 * (edited(c) == 7), c), {}, 400),
    "another numbering": ("map.nrrd", lambda c: shown(edited(c), c), {"numbering": "pymskt"}, 400),
    "no bone left": ("map.nrrd", without_bones, {"numbering": "canonical"}, 422),
    "no such numbering": ("map.nrrd", lambda c: shown(edited(c), c), {"numbering": "mine"}, 422),
    "nothing changes": ("map.nrrd", lambda c: shown(c.outlines.labels, c), {}, 422),
    "a file outside the zip": ("map.zip", lambda c: archive("../map.nrrd", shown(edited(c), c)), {}, 400),
    "resample maybe": ("map.nrrd", lambda c: shown(edited(c), c), {"resample_labels": "maybe"}, 422),
    "an endless note": ("map.nrrd", lambda c: shown(edited(c), c), {"note": "n" * 1001}, 422),
}


@pytest.mark.parametrize("case", MAPS)
def test_a_bad_label_map_is_refused(corrected: Corrected, case: str) -> None:
    name, content, fields, status = MAPS[case]
    before = job_folders()
    files = {"labels": (name, content(corrected), "application/octet-stream")}
    answer = corrected.client.post(f"/jobs/{corrected.job}/labels", files=files, data=fields)
    assert answer.status_code == status, answer.text
    assert_refused(answer, before)


def test_a_form_without_a_file_or_with_a_scan_is_refused(corrected: Corrected) -> None:
    before = job_folders()
    route = f"/jobs/{corrected.job}/labels"
    for answer in (
        corrected.client.post(route, files={"file": ("scan.nrrd", b"NRRD", "application/octet-stream")}),
        corrected.client.post(route, files={"note": (None, "no file")}),
        corrected.client.post(route, json={"labels": "map"}),
        corrected.client.post(f"{route}?numbering=oai", files={"labels": ("a.nrrd", b"NRRD")}),
    ):
        assert answer.status_code == 422, answer.text
        assert_refused(answer, before)


@pytest.mark.parametrize(
    "review", [{"state": "fine"}, {}, {"state": "rejected", "reason": "r" * 1001}, {"stat": "accepted"}, [1]]
)
def test_a_bad_review_is_refused(corrected: Corrected, review: Any) -> None:
    assert corrected.client.put(f"/jobs/{corrected.job}/review", json=review).status_code == 422
    assert corrected.client.get(f"/jobs/{corrected.job}/versions").json()[0]["review"] is None
