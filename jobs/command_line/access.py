"""Commands about people and the audit log."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from jobs.access import audit, sessions
from jobs.access.audit import Act
from jobs.access.viewer import viewer
from jobs.control.sharing import forget_person, known_people
from jobs.errors import AuditBroken
from jobs.state.passes import revoke_passes

Added = Callable[[str, str], argparse.ArgumentParser]
Write = Callable[[argparse.Namespace, object, list[str]], None]


def add_commands(command: Added) -> None:
    """Their arguments."""
    auditing = command("audit", "check or print who saw, changed, exported, deleted and shared what")
    auditing.add_argument("what", choices=["verify", "show"])
    auditing.add_argument("--expect", metavar="DIGEST", default="", help="verify: of a line that must still be there")
    auditing.add_argument("--who", default="", help="show: only this viewer, such as person:ID or operator")
    auditing.add_argument("--about", default="", help="show: only this job, study or project, such as job:ID")
    auditing.add_argument("--limit", type=int, default=100, help="show: number of the newest lines (default: 100)")
    command("people", "list the people who have signed in")
    forgetting = command("forget-person", "delete name and address of a person, and end their sessions and keys")
    forgetting.add_argument("person", help="its id, as `people` prints it")


def run_audit(chosen: argparse.Namespace, write: Write) -> None:
    """Raises AuditBroken."""
    path = audit.audit_path()
    if chosen.what == "show":
        found = [entry for entry in audit.entries(path) if _wanted(entry, chosen)][-max(chosen.limit, 1) :]
        write(chosen, found, [_line(entry) for entry in found])
        return
    verdict = audit.verify(path, chosen.expect)
    write(chosen, asdict(verdict) | {"whole": verdict.whole}, [f"{verdict.lines} lines", f"digest {verdict.digest}"])
    if verdict.breaks:
        numbers = ", ".join(map(str, verdict.breaks[:10])) + (", ..." if len(verdict.breaks) > 10 else "")
        raise AuditBroken(
            f"The chain is broken at line {numbers}: it does not follow the line before, which was changed, removed or "
            "inserted, or it was not written whole.",
            hint="Compare the log with a backup.",
        )
    if not verdict.expected_found:
        raise AuditBroken(
            "No line has the expected digest: lines were cut off at the end, or the log was replaced.",
            hint="Compare the log with a backup.",
        )


def run_people(chosen: argparse.Namespace, write: Write) -> None:
    """The operator alone sees names beside ids."""
    found = known_people()
    write(chosen, [asdict(item) for item in found], [f"{item.id}  {item.last}  {item.title}" for item in found])


def run_forget_person(chosen: argparse.Namespace, write: Write) -> None:
    """The id stays in the audit log."""
    found = forget_person(chosen.person)
    audit.note(viewer(), Act.DELETED, f"person:{chosen.person}", "forget_person")
    write(chosen, {"forgotten": found is not None}, ["forgotten" if found else "There was no such person."])


def run_sign_out(chosen: argparse.Namespace, write: Write) -> None:
    """Of browsers with a key, and of people."""
    revoke_passes()
    ended = sessions.end_all()
    write(chosen, {"signed_out": True, "sessions": ended}, ["Every browser has to send its key, or sign in, again."])


def _wanted(entry: dict[str, Any], chosen: argparse.Namespace) -> bool:
    return chosen.who in ("", entry.get("who")) and chosen.about in ("", entry.get("what"))


def _line(entry: dict[str, Any]) -> str:
    return "  ".join(str(entry.get(name, "")) for name in ("at", "who", "act", "what", "how"))
