"""Loaded by schemathesis: half of its requests use an existing job and file, and some uploads are a real scan."""

from __future__ import annotations

from typing import Any

import schemathesis

from bench.service.inside import small_knee

JOBS = ("complete", "waiting", "failed")
FILES = ("results.csv", "report.html", "surfaces/femur.ply")


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Replace every second generated name by an existing one."""
    if not path_parameters or context.operation.method.upper() == "DELETE":  # needed by the other requests
        return path_parameters
    chosen = dict(path_parameters)
    for name, known in (("job_id", JOBS), ("name", FILES)):
        made_up = str(chosen.get(name, ""))
        if name in chosen and len(made_up) % 2:
            chosen[name] = known[len(made_up) // 2 % len(known)]
    return chosen


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:  # noqa: ARG001 -- the hook's signature
    """Replace every fourth generated file by a part of the sample knee."""
    if isinstance(body, dict) and isinstance(body.get("file"), bytes) and len(body["file"]) % 4 == 1:
        return body | {"file": small_knee()}
    return body
