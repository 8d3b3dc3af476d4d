"""For the operator: `python -m jobs stats | list | show JOB_ID`, on the data directory and queue of the environment."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from jobs import service
from jobs.model import JobView
from jobs.settings import SettingsError
from pipeline.errors import KneeError


def main(arguments: list[str] | None = None) -> int:
    """-> exit status: 0 done, 1 refused, 2 wrong usage or setting."""
    parser = argparse.ArgumentParser(prog="python -m jobs", description="Look at the jobs of this server.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("stats", help="usage and health")
    listing = commands.add_parser("list", help="the newest jobs")
    listing.add_argument("--limit", type=int, default=20)
    showing = commands.add_parser("show", help="one job, as JSON")
    showing.add_argument("job_id")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "stats":
            _write(_pairs(service.stats() | service.health()))
        elif chosen.command == "list":
            _write(_table(service.recent(chosen.limit)))
        else:
            _write([json.dumps(asdict(service.get(chosen.job_id)), indent=1, default=str, ensure_ascii=False)])
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KneeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _write(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _pairs(values: dict[str, Any]) -> Iterable[str]:
    width = max(map(len, values))
    return (f"{name:{width}}  {value}" for name, value in values.items())


def _table(jobs: list[JobView]) -> Iterable[str]:
    yield f"{'job':36}  {'status':10}  {'created':20}  {'done':>4}  step"
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}" if job.created_at else ""
        step = job.error_code or job.step_name
        yield f"{job.id:36}  {job.status:10}  {created:20}  {job.progress_percent:3}%  {step}"


if __name__ == "__main__":
    sys.exit(main())
