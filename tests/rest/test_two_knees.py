"""An image of two knees over real HTTP, and on its page: one can be chosen, or both measured as two results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.finished_jobs import write_labels
from tests.support.knees import coarse_knee
from tests.support.processes import ROOT, wait_until
from tests.support.two_knees import two_knees

pytestmark = pytest.mark.slow

PAGE = """
import json, sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=60)
page.switch_page("pages/analysis.py")
page.query_params["job"] = sys.argv[1]
page.run()
texts = [item.value for item in page.error]
buttons = [item.label for item in page.button]
next(item for item in page.button if item.label == "Analyse both knees").click().run()
print(json.dumps({"errors": texts, "buttons": buttons, "exceptions": [item.message for item in page.exception]}))
"""


def coarse_label_map(path: Path) -> bytes:
    """Two knees at half the resolution."""
    both, _, _ = two_knees(knee=coarse_knee())
    return write_labels(path, both).read_bytes()


def status(api: httpx.Client, job_id: str) -> dict[str, Any]:
    return dict(api.get(f"/status/{job_id}").json())


def ended(api: httpx.Client, job_id: str) -> dict[str, Any]:
    wait_until(lambda: status(api, job_id)["status"] in ("error", "complete"), what="the end of a job", seconds=120)
    return status(api, job_id)


def test_a_running_job_and_a_deleted_scan_cannot_be_copied(api: httpx.Client, nifti: bytes) -> None:
    job_id = api.post("/upload", files={"file": ("a.nii.gz", nifti)}).json()["job_id"]
    assert api.post(f"/jobs/{job_id}/copy", json={"knee": "2"}).status_code == 409
    assert api.post(f"/jobs/{job_id}/copy", json={"knees": "2"}).status_code == 422


def test_both_knees_become_two_results_of_their_sides(
    api: httpx.Client, redis_client: Any, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    sent = {"labels": ("two.nrrd", coarse_label_map(tmp_path / "two.nrrd"), "application/octet-stream")}
    answer = api.post("/upload", files=sent, data={"perform_nsm": "false"})
    assert answer.status_code == 201, answer.text
    first = answer.json()["job_id"]
    failed = ended(api, first)
    assert (failed["error_code"], failed["offers"]) == ("TWO_KNEES", {"knee": ["1", "2"]})
    assert "knee 1 looks like a right knee" in failed["error_message"]

    seen = json.loads(
        subprocess.run(
            [sys.executable, "-c", PAGE, first],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=120,
        ).stdout.splitlines()[-1]
    )
    assert seen["exceptions"] == []
    assert "2 knees" in seen["errors"][0].replace("\\", "")
    assert {"Analyse knee 1", "Analyse knee 2", "Analyse both knees"} <= set(seen["buttons"])

    jobs = {job["id"]: job for job in map(json.loads, redis_client.hvals("jobs"))}
    (second,) = jobs.keys() - {first}
    assert (jobs[first]["options"]["knee"], jobs[second]["options"]["knee"]) == ("1", "2")
    sides, thickness = [], []
    for job_id in (first, second):
        assert ended(api, job_id)["status"] == "complete"
        sides.append(api.get(f"/jobs/{job_id}/artifacts/results.json").json()["side"])
        rows = api.get(f"/jobs/{job_id}/measurements").json()
        thickness.append(
            {
                (row["structure"], row["region"]): row["value"]
                for row in rows
                if (row["quantity"], row["method"], row["statistic"]) == ("ThC", "union", "mean")
            }
        )
    assert sides == ["right", "left"]
    assert len(thickness[0]) >= 8
    assert thickness[0] == pytest.approx(thickness[1], abs=0.02), "the second knee is the mirror image of the first"
