"""Runs schemathesis on the OpenAPI document and a running server with jobs in every state."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from bench.service.figures import Figure
from bench.service.site import ROOT, Site, running_site

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
"""Checks that compare rejections with the schema are excluded: a schema cannot define which bytes are a knee."""

MANY: Final = 150
"""Minimum number of requests for a valid test."""

_JOBS: Final = """
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from pipeline.products import MEASUREMENTS
backend = open_backend()
for name, status in (("complete", Status.COMPLETE), ("waiting", Status.QUEUED), ("failed", Status.ERROR)):
    workspace = backend.storage.workspace(name, 0)
    workspace.create()
    path = workspace.results_dir / "results.zip"
    path.write_bytes(b"PK")
    record = JobRecord(id=name, status=status, created_at=now(), result_path=str(path), ours=False)
    backend.store._client.hset("jobs", name, record.to_json())
    (workspace.files_dir / "surfaces").mkdir(parents=True, exist_ok=True)
    for artifact in ("results.csv", "report.html", "surfaces/femur.ply"):
        (workspace.files_dir / artifact).write_text("text")
    MEASUREMENTS.save(workspace, ())
"""
"""Records as other programs write them: the service leaves them unchanged."""


def figures(*, short: bool) -> list[Figure]:
    """Run with 300 examples per operation; `short`: 6."""
    with running_site() as site:
        site.start_queue()
        site.start_api()
        assert site.python(_JOBS) == 0
        report = _run(site, 6 if short else 300)
    wrong = [f"{kind['title']}: {', '.join(_operations(kind))}" for kind in report["failures"]]
    server_errors = sum(kind["count"] for kind in report["failures"] if kind["type"] == "ServerError")
    found = sum(kind["count"] for kind in report["failures"])
    tested = f"{report['test_cases']['generated']} requests to {report['operations']['tested']} operations"
    whole = report["stop_reason"] == "completed" and not report["errors"] and report["test_cases"]["generated"] > MANY
    return [
        Figure(bar="0 server errors", measured=f"{server_errors} of {tested}", met=whole and server_errors == 0),
        Figure(
            bar="0 undocumented responses",
            measured=f"{found - server_errors} of {tested} {'; '.join(wrong)}".rstrip(),
            met=whole and found == server_errors == 0,
        ),
    ]


def _operations(kind: dict[str, Any]) -> list[str]:
    return [str(item.get("label", item) if isinstance(item, dict) else item) for item in kind["operations"]]


def _run(site: Site, examples: int) -> dict[str, Any]:
    path = site.folder / "schemathesis.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{site.url}/openapi.json", "--no-color"]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(examples), "--continue-on-failure", "--no-shrink"]
    command += ["--generation-deterministic", "--report-json-path", str(path)]
    environment = site.environment | {"SCHEMATHESIS_HOOKS": "bench.service.contract_hooks", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        command, cwd=site.folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if not path.exists():
        raise RuntimeError(f"schemathesis did not run:\n{answer.stdout}\n{answer.stderr}")
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report
