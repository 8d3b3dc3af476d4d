"""The dry run as lines for people, and as JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import Final

from studies.check import Check
from studies.findings import Finding, Severity
from studies.rules import CheckedRow

WIDTH: Final = 100
CHECK_COLUMNS: Final = ("row", "subject", "visit", "side", "column", "severity", "code", "message", "remedy")


def check_lines(check: Check) -> list[str]:
    """Every row with a finding, then how many rows there are of each kind."""
    lines: list[str] = []
    for row in check.rows:
        if row.findings:
            person = row.row.person
            who = " ".join(text for text in (person.subject, person.visit, row.stated_side or "") if text)
            lines.append(f"Row {row.row.number}  {who or '(no subject)'}  {row.row.given}".rstrip())
            for finding in row.findings:
                lines += _finding_lines(finding)
    return [*lines, *check.notes, *summary_lines(check)]


def _finding_lines(finding: Finding) -> list[str]:
    head = f"  {finding.severity:8}{finding.code}: {finding.message}"
    text = textwrap.wrap(f"{head} {finding.remedy}".rstrip(), WIDTH, subsequent_indent=" " * 10)
    return text or [head]


def summary_lines(check: Check) -> list[str]:
    """How many rows can be analysed, and for what the others are left out."""
    ready = len(check.ready)
    reasons = Counter(found[0].code for row in check.rows if (found := check.decisive(row)))
    lines = [f"{len(check.rows)} rows, {ready} can be analysed."]
    if reasons:
        listed = ", ".join(f"{code} {number}" for code, number in reasons.most_common())
        lines.append(f"Left out: {len(check.rows) - ready} ({listed}).")
    return lines


def check_csv(check: Check) -> str:
    """One line for each finding: RFC 4180 with LF line ends."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CHECK_COLUMNS)
    for row, finding in check.findings:
        values = asdict(finding) | _who(row)
        writer.writerow([values[name] for name in CHECK_COLUMNS])
    return stream.getvalue()


def check_document(check: Check) -> dict[str, object]:
    """Every row with its findings, and whether it can be analysed."""
    ready = {row.row.number for row in check.ready}
    return {
        "rows": [
            {"row": row.row.number, "path": row.row.given}
            | _who(row)
            | {"ready": row.row.number in ready, "findings": [asdict(finding) for finding in row.findings]}
            for row in check.rows
        ],
        "ready": len(ready),
        "left_out": len(check.rows) - len(ready),
        "severities": {severity.value: severity.meaning for severity in Severity},
        "notes": list(check.notes),
    }


def _who(row: CheckedRow) -> dict[str, object]:
    person = row.row.person
    return {"subject": person.subject, "visit": person.visit, "side": str(row.stated_side or "")}
