"""For the operator: look at the jobs of this server and set them right, on the data directory and queue of the
environment, while the product runs.

No output names who a job is for: neither e-mail address nor file name. Tables are for people, --json for programs.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from jobs import retention, service
from jobs.errors import InvalidForm, QueueUnavailable
from jobs.model import JobView, Status
from jobs.processes import keep_files_private
from jobs.reconciler import reconcile
from jobs.settings import SettingsError
from pipeline.errors import KneeError

DONE: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2
NO_QUEUE: Final = 3

EVERY_JOB: Final = 1_000_000
_NOT_SHOWN: Final = ("input_filename", "archive_name")


def main(arguments: list[str] | None = None) -> int:
    """-> exit status: 0 done; 1 refused, for example because there is no such job; 2 wrong usage or setting; 3 the
    job queue cannot be used.
    """
    chosen = parser().parse_args(arguments)
    keep_files_private()
    logging.getLogger().addHandler(logging.NullHandler())  # what was done is printed; errors are too
    try:
        COMMANDS[chosen.command](chosen)
    except SettingsError as error:
        return _failed(str(error), WRONG_USE)
    except QueueUnavailable as error:
        return _failed(str(error), NO_QUEUE)
    except InvalidForm as error:
        wrong = (f"{detail['loc'][-1]}: {detail['msg']}" for detail in error.details)
        return _failed("; ".join(wrong), WRONG_USE)
    except KneeError as error:
        return _failed(str(error), REFUSED)
    return DONE


def parser() -> argparse.ArgumentParser:
    """The commands and what each takes."""
    whole = argparse.ArgumentParser(
        prog="python -m jobs", description="Look at the jobs of this server, set them right."
    )
    commands = whole.add_subparsers(dest="command", required=True)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.add_argument("--json", action="store_true", help="for programs")
        return added

    command("stats", "usage and health")
    listing = command("list", "the newest jobs")
    listing.add_argument("--status", choices=[str(status) for status in Status], help="only these")
    listing.add_argument("--limit", type=_count, default=20, help="so many at most (20)")
    command("show", "one job").add_argument("job_id")
    retrying = command("retry", "run an ended job again")
    retrying.add_argument("job_id")
    retrying.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", type=_pair, help="change it")
    command("cancel", "end a job that waits or runs").add_argument("job_id")
    purging = command("purge", "delete the jobs whose time is over")
    purging.add_argument("--job", metavar="JOB_ID", help="delete this one, whether its time is over or not")
    purging.add_argument("--dry-run", action="store_true", help="only say which")
    mending = command("reconcile", "compare records, queue, work and folders, and mend what disagrees")
    mending.add_argument("--once", action="store_true", required=True, help="workers do it every 5 s by themselves")
    return whole


def _stats(chosen: argparse.Namespace) -> None:
    facts = service.stats() | service.health()
    if chosen.json:
        _write_json(facts)
        return
    facts |= {"weights": ", ".join(f"{name} ({'there' if ok else 'missing'})" for name, ok in facts["weights"].items())}
    facts |= {"problems": " ".join(facts["problems"]) or "none"}
    _write_pairs(facts)


def _list(chosen: argparse.Namespace) -> None:
    jobs = service.recent(chosen.limit if chosen.status is None else EVERY_JOB)
    jobs = [job for job in jobs if chosen.status in (None, job.status)][: chosen.limit]
    if chosen.json:
        _write_json([_facts(job) for job in jobs])
        return
    rows = [
        (job.id, str(job.status), _time(job.created_at), f"{job.progress_percent} %", job.error_code or job.step_name)
        for job in jobs
    ]
    _write_table(("job", "status", "created (UTC)", "done", "step"), rows)


def _show(chosen: argparse.Namespace) -> None:
    _write_job(service.get(chosen.job_id), chosen)


def _retry(chosen: argparse.Namespace) -> None:
    _write_job(service.retry(chosen.job_id, dict(chosen.set)), chosen)


def _cancel(chosen: argparse.Namespace) -> None:
    _write_job(service.cancel(chosen.job_id), chosen)


def _purge(chosen: argparse.Namespace) -> None:
    if chosen.job is not None:
        service.get(chosen.job)
        gone = [chosen.job]
        if not chosen.dry_run:
            service.delete(chosen.job)
    else:
        gone = retention.expired_now() if chosen.dry_run else retention.purge_expired()
    if chosen.json:
        _write_json({"jobs": gone, "deleted": not chosen.dry_run})
        return
    _write_table(("would be deleted" if chosen.dry_run else "deleted",), [(job_id,) for job_id in gone])


def _reconcile(chosen: argparse.Namespace) -> None:
    mended = reconcile()
    if chosen.json:
        _write_json([asdict(item) for item in mended])
        return
    _write_table(("job", "mended"), [(item.job_id, item.what) for item in mended])


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "stats": _stats,
    "list": _list,
    "show": _show,
    "retry": _retry,
    "cancel": _cancel,
    "purge": _purge,
    "reconcile": _reconcile,
}


def _facts(job: JobView) -> dict[str, Any]:
    return {name: value for name, value in asdict(job).items() if name not in _NOT_SHOWN}


def _write_job(job: JobView, chosen: argparse.Namespace) -> None:
    facts = _facts(job)
    if chosen.json:
        _write_json(facts)
        return
    steps = facts.pop("steps")
    facts |= {"options": ", ".join(f"{name}={value}" for name, value in facts["options"].items())}
    facts |= {"warnings": " ".join(facts["warnings"])}
    facts |= {name: _time(facts[name]) for name in ("created_at", "started_at", "completed_at", "expires_at")}
    _write_pairs({name: value for name, value in facts.items() if value not in ("", None)})
    if steps:
        rows = [(step["name"], step["state"], _seconds(step.get("seconds")), step.get("reason", "")) for step in steps]
        sys.stdout.write("\n")
        _write_table(("step", "state", "seconds", "reason"), rows)


def _write_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n")


def _write_pairs(values: Mapping[str, Any]) -> None:
    width = max(map(len, values))
    sys.stdout.writelines(f"{name:{width}}  {value}\n" for name, value in values.items())


def _write_table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _time(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def _seconds(value: Any) -> str:
    return "" if value is None else f"{value:.1f}"


def _failed(message: str, status: int) -> int:
    sys.stderr.write(f"{message}\n")
    return status


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ValueError(text)
    return name, value
