"""The operator's command line: inspects and repairs the jobs of this server, using its data directory and queue.

The product may be running. No command shows an e-mail address. The default output is a table; --json is for programs.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from jobs import service
from jobs.access import audit
from jobs.access.audit import Act
from jobs.access.viewer import viewer
from jobs.backup.corrected import export_corrected
from jobs.backup.making import back_up
from jobs.backup.restoring import restore
from jobs.command_line import access
from jobs.command_line.tables import csv_lines, facts_of, job_lines, pair_lines, review_rows, show_lines, worker_lines
from jobs.control.expiry import expired_now, purge_expired
from jobs.control.forgetting import forget
from jobs.control.workers import drain, pause, resume, workers
from jobs.errors import InvalidForm
from jobs.processes import keep_files_private
from jobs.settings import SettingsError
from jobs.state.backend import open_backend
from jobs.state.data_dir import adopt_data_dir
from jobs.state.model import Status
from jobs.state.orders import EVERY_WORKER
from jobs.state.queue import queue_errors
from jobs.state.reconciler import reconcile
from jobs.state.research import copies, remove_copies
from pipeline.errors import KneeError

DONE: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2

EVERY_JOB: Final = 1_000_000
NOTHING: Final = "Nothing to do."
NO_WORKER: Final = "No worker is running."

WORKER_COMMANDS: Final = {
    "pause": "start no further job; waiting jobs stay in the queue, running ones continue",
    "resume": "end a pause",
    "drain": "finish the running jobs, then stop the workers",
}


def main(arguments: list[str] | None = None, program: str = "python -m jobs") -> int:
    """Returns the exit status: 0 done; 1 rejected (unknown job, wrong state, no queue); 2 wrong usage or setting."""
    chosen = parser(program).parse_args(arguments)
    keep_files_private()
    logging.getLogger().addHandler(logging.NullHandler())  # results and errors are printed
    try:
        COMMANDS[chosen.command](chosen)
    except SettingsError as error:
        return _failed(str(error), WRONG_USE)
    except InvalidForm as error:
        return _failed("; ".join(str(detail["msg"]) for detail in error.details), WRONG_USE)
    except KneeError as error:
        return _failed(str(error), REFUSED)
    return DONE


def parser(program: str) -> argparse.ArgumentParser:
    """The commands and their arguments."""
    whole = argparse.ArgumentParser(prog=program, description="Inspect and repair the jobs of this server.")
    commands = whole.add_subparsers(dest="command", required=True)

    def command(name: str, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.add_argument("--json", action="store_true", help="print JSON")
        return added

    command("stats", "show usage and health")
    listing = command("list", "list the newest jobs")
    listing.add_argument("--status", choices=[str(status) for status in Status], help="only jobs with this status")
    listing.add_argument("--limit", type=_count, default=20, help="maximum number (default: 20)")
    command("show", "show one job").add_argument("job_id")
    command("retry", "run an ended job again").add_argument("job_id")
    command("cancel", "cancel a waiting or running job").add_argument("job_id")
    purging = command("purge", "delete expired jobs")
    purging.add_argument("--research", action="store_true", help="delete every copy for research instead")
    purging.add_argument("--job", metavar="JOB_ID", help="delete this job, expired or not")
    purging.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    command("workers", "list the live workers")
    for name, purpose in WORKER_COMMANDS.items():
        ordering = command(name, purpose)
        whom = ordering.add_mutually_exclusive_group(required=True)
        whom.add_argument("worker", nargs="?", help="name of a worker, or a part from its beginning")
        whom.add_argument("--all", action="store_true", help="all workers")
        if name != "resume":
            ordering.add_argument("--reason", default="", help="shown to users and other operators")
    backing_up = command("backup", "write jobs, studies, files and statistics to a new folder or .tar file")
    backing_up.add_argument("target", type=Path)
    backing_up.add_argument("--no-studies", action="store_true", help="leave out studies and their analyses")
    command("restore", "restore a backup into an empty queue and data directory").add_argument("backup", type=Path)
    exporting = command(
        "export-corrected",
        "write scans with accepted corrected outlines of users who consent, for make adapt and validate",
    )
    exporting.add_argument("folder", type=Path, help="a new folder")
    exporting.add_argument(
        "--scans-consented", action="store_true", help="users who consent have agreed to the use of their scans too"
    )
    forgetting = command("forget-subject", "delete a subject from every study, and single jobs with its name")
    forgetting.add_argument("subject", help="its name, exactly as in the manifests")
    command("reviews", "print every review as CSV, or as JSON")
    command("adopt", "make the present data directory that of the queue, after it was replaced on purpose")
    reconciling = command("reconcile", "compare records, queue, work and folders, and repair inconsistencies")
    reconciling.add_argument(
        "--once", action="store_true", required=True, help="workers do this automatically every 5 s"
    )
    command("sign-out", "end the access of every browser that has sent a key, and of all who have signed in")
    access.add_commands(command)
    return whole


def _forget_subject(chosen: argparse.Namespace) -> None:
    found = asdict(forget(chosen.subject))
    audit.note(viewer(), Act.DELETED, f"analyses:{found['analyses']} jobs:{found['jobs']}", "forget_subject")
    _write(chosen, found, pair_lines(found))


def _stats(chosen: argparse.Namespace) -> None:
    usage, health = asdict(service.stats()), asdict(service.health())
    _write(chosen, {"usage": usage, "health": health}, pair_lines(usage | health))


def _list(chosen: argparse.Namespace) -> None:
    jobs = service.recent(chosen.limit if chosen.status is None else EVERY_JOB)
    jobs = [job for job in jobs if chosen.status in (None, job.status)][: chosen.limit]
    _write(chosen, [facts_of(job) for job in jobs], job_lines(jobs))


def _show(chosen: argparse.Namespace) -> None:
    job = service.get(chosen.job_id)
    _write(chosen, facts_of(job), show_lines(job))


def _cancel(chosen: argparse.Namespace) -> None:
    facts = facts_of(service.cancel(chosen.job_id))
    _write(chosen, facts, [f"{chosen.job_id}  cancelled"])


def _retry(chosen: argparse.Namespace) -> None:
    facts = facts_of(service.retry(chosen.job_id))
    _write(chosen, facts, [f"{chosen.job_id}  queued again"])


def _purge(chosen: argparse.Namespace) -> None:
    if chosen.research:
        storage = open_backend().storage
        deleted = copies(storage) if chosen.dry_run else remove_copies(storage)
    elif chosen.job is not None:
        service.get(chosen.job)
        deleted = [chosen.job]
        if not chosen.dry_run:
            service.delete(chosen.job)
    else:
        deleted = expired_now() if chosen.dry_run else purge_expired()
    what = "would be deleted" if chosen.dry_run else "deleted"
    lines = [f"{name}  {what}" for name in deleted] or [NOTHING]
    _write(chosen, {"research_copies" if chosen.research else "jobs": deleted, "deleted": not chosen.dry_run}, lines)


def _reconcile(chosen: argparse.Namespace) -> None:
    repairs = reconcile()
    lines = [f"{item.job_id}  {item.what}" for item in repairs] or [NOTHING]
    _write(chosen, [asdict(item) for item in repairs], lines)


def _workers(chosen: argparse.Namespace) -> None:
    states = workers()
    _write(chosen, [asdict(state) for state in states], worker_lines(states))


def _pause(chosen: argparse.Namespace) -> None:
    names = pause(chosen.worker, chosen.reason)
    _write(chosen, {"paused": names}, [f"{_whom(name)}  no further job is started" for name in names])


def _drain(chosen: argparse.Namespace) -> None:
    names = drain(chosen.worker, chosen.reason)
    _write(chosen, {"draining": names}, [f"{name}  stops after its job" for name in names] or [NO_WORKER])


def _resume(chosen: argparse.Namespace) -> None:
    names = resume(chosen.worker)
    _write(chosen, {"resumed": names}, [f"{_whom(name)}  resumed" for name in names] or [NOTHING])


def _whom(name: str) -> str:
    return "all workers" if name == EVERY_WORKER else name


def _backup(chosen: argparse.Namespace) -> None:
    summary = asdict(back_up(chosen.target.absolute(), studies=not chosen.no_studies))
    del summary["queue_order"]
    _write(chosen, summary, pair_lines(summary))


def _restore(chosen: argparse.Namespace) -> None:
    restored = asdict(restore(chosen.backup.absolute()))
    _write(chosen, restored, pair_lines(restored))


def _export(chosen: argparse.Namespace) -> None:
    exported = asdict(export_corrected(chosen.folder.absolute(), scans_consented=chosen.scans_consented))
    _write(chosen, exported, pair_lines(exported | {"cases": len(exported["cases"])}))


@queue_errors()
def _reviews(chosen: argparse.Namespace) -> None:
    store = open_backend().store
    rows = review_rows(store.load_several(store.ids()))
    _write(chosen, rows, csv_lines(rows))


@queue_errors()
def _adopt(chosen: argparse.Namespace) -> None:
    backend = open_backend()
    adopt_data_dir(backend.client, backend.storage)
    _write(chosen, {"adopted": True}, ["The present data directory is that of the queue now."])


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "stats": _stats,
    "list": _list,
    "show": _show,
    "retry": _retry,
    "cancel": _cancel,
    "purge": _purge,
    "workers": _workers,
    "pause": _pause,
    "resume": _resume,
    "drain": _drain,
    "backup": _backup,
    "restore": _restore,
    "export-corrected": _export,
    "forget-subject": _forget_subject,
    "reviews": _reviews,
    "adopt": _adopt,
    "reconcile": _reconcile,
    "sign-out": lambda chosen: access.run_sign_out(chosen, _write),
    "audit": lambda chosen: access.run_audit(chosen, _write),
    "people": lambda chosen: access.run_people(chosen, _write),
    "forget-person": lambda chosen: access.run_forget_person(chosen, _write),
}


def _write(chosen: argparse.Namespace, data: object, lines: Iterable[str]) -> None:
    text = [json.dumps(data, indent=1, ensure_ascii=False)] if chosen.json else lines
    sys.stdout.writelines(f"{line}\n" for line in text)


def _failed(message: str, status: int) -> int:
    sys.stderr.write(f"{message}\n")
    return status


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count
