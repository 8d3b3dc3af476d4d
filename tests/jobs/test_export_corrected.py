"""Accepted corrections become a labelled set that make validate and make adapt read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.backup.corrected import export_corrected
from jobs.command_line.commands import main
from jobs.errors import JobConflict
from jobs.state.backend import open_backend
from pipeline.image_io import read_label_map, read_scan
from pipeline.labels import given_segmentation
from pipeline.products import SCAN
from pipeline.types import Scan
from tests.support.finished_jobs import finished_job
from tests.support.versions import outlines
from training.adapt.pairs import read_pairs

ACCEPTED = {"state": "accepted", "reason": "", "at": "2026-11-29T12:00:00+00:00"}


def corrected(side: str, *, review: dict[str, str] = ACCEPTED, consents: bool = True, **fields: Any) -> str:
    """A complete job with corrected outlines and a scan."""
    job = finished_job(side, corrected=True, review=review, retain_for_research=consents, **fields)
    knee = outlines(job)
    noise = np.random.default_rng(3).normal(300, 40, knee.labels.shape).astype(np.float32)
    scan = Scan(echoes=noise[np.newaxis], grid=knee.grid)
    SCAN.of(scan).save(open_backend().storage.newest_workspace(job))
    return job


def test_accepted_versions_of_users_who_consent_are_read_as_a_labelled_set(redis_client: Any, tmp_path: Path) -> None:
    right, left = corrected("right"), corrected("left")
    corrected("right", consents=False)
    corrected("right", review={})
    corrected("left", version_of=left, version=2, review=ACCEPTED | {"state": "rejected"})
    exported = export_corrected(tmp_path / "set", scans_consented=True)
    assert (len(exported.cases), exported.without_consent, exported.without_files) == (2, 1, 0)

    found = read_pairs(tmp_path / "set" / "imagesTr", tmp_path / "set" / "labelsTr", tmp_path / "work")
    assert {pair.name for pair in found.pairs} == {f"knee_{job.replace('-', '')}" for job in (right, left)}
    for job in (right, left):
        pair = next(pair for pair in found.pairs if job.replace("-", "") in pair.name)
        scan, label_map = read_scan(pair.scan), read_label_map(pair.labels)
        read = given_segmentation(label_map, found.numbering, scan.grid)
        assert np.array_equal(read.labels, outlines(job).labels)
    with pytest.raises(JobConflict):
        export_corrected(tmp_path / "set", scans_consented=True)


def test_no_scan_is_exported_unless_the_operator_states_that_users_agreed(redis_client: Any, tmp_path: Path) -> None:
    corrected("right")
    with pytest.raises(JobConflict, match="voxels") as refused:
        export_corrected(tmp_path / "set", scans_consented=False)
    assert "--scans-consented" in refused.value.hint
    assert not (tmp_path / "set").exists()


def test_reviews_are_a_table(redis_client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    job = finished_job(review=ACCEPTED | {"reason": "good, but thin"}, initials="AB")
    assert main(["reviews"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split(",")[:4] == ["job", "first_version", "version", "state"]
    assert line == f'{job},{job},1,accepted,"good, but thin",2026-11-29T12:00:00+00:00,AB'
    assert main(["reviews", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "accepted"
