"""Corrections of outlines for tests: a brush in numpy, and its request."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import httpx
import numpy as np

from jobs.state.backend import open_backend
from pipeline.anatomy import Structure
from pipeline.image_io import read_label_map
from pipeline.label_runs import packed_runs
from pipeline.products import SEGMENTATION
from pipeline.types import LabelArray, Segmentation
from tests.support.processes import wait_until


def outlines(job_id: str) -> Segmentation:
    """The outlines that a complete job was measured with."""
    backend = open_backend()
    record = backend.store.load(job_id)
    assert record is not None
    return SEGMENTATION.load(backend.storage.workspace(job_id, record.attempt))


def painted(labels: LabelArray, structure: Structure, radius: int = 3, *, over: tuple[int, ...] = (0,)) -> LabelArray:
    """A ball of a structure at the end of it, over background or other labels; and one erased at its other end."""
    places = np.argwhere(labels == structure)
    result = labels.copy()
    z, y, x = np.indices(labels.shape, sparse=True)
    for place, value, below in ((places[0], structure, over), (places[-1], 0, (structure,))):
        ball = (z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2 <= radius**2
        result[ball & np.isin(labels, below)] = value
    return result


def body(before: LabelArray, after: LabelArray, newest: int = 1, **fields: object) -> dict[str, object]:
    """The JSON body of POST /jobs/{id}/versions."""
    return {"runs": base64.b64encode(packed_runs(before, after)).decode(), "newest": newest, **fields}


def packed(*triples: tuple[int, int, int]) -> str:
    """Any runs, as base64."""
    return base64.b64encode(gzip.compress(np.array(triples, dtype="<u4").tobytes())).decode()


def completed(api: httpx.Client, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
    """The status of a job that is complete."""
    wait_until(lambda: api.get(f"/status/{job_id}").json()["status"] in ("complete", "error"), seconds=seconds)
    status = api.get(f"/status/{job_id}").json()
    assert status["status"] == "complete", status
    return dict(status)


def stored_labels(api: httpx.Client, job_id: str, folder: Any) -> LabelArray:
    """labels.nrrd of the results, as any program reads it."""
    path = folder / f"{job_id}.nrrd"
    path.write_bytes(api.get(f"/jobs/{job_id}/artifacts/segmentation/labels.nrrd").content)
    return read_label_map(path).labels.astype(np.uint8)
