"""What a check of a folder writes: a table as CSV and JSON, and a gallery as one page, the worst scan first."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Template

from pipeline.report.page import data_uri
from pipeline.report.templates import compiled
from pipeline.scan_checks.checks import CHECKS
from pipeline.scan_checks.folder import PICTURES
from pipeline.scan_checks.record import Record, flag_shares, ranked
from pipeline.segmentation.segmenter import Segmenter, facts
from pipeline.workspace import atomic_file, write_json

CSV_NAME: Final = "scans.csv"
JSON_NAME: Final = "scans.json"
GALLERY_NAME: Final = "gallery.html"
TEMPLATE: Final = "gallery.html.jinja"
FACTS: Final = ("side", "stated_side", "side_ratio", "spacing_mm", "cartilage_probability", "cartilage_entropy_bits")


def write_documents(records: list[Record], models: tuple[Segmenter, ...], output: Path) -> None:
    """All three, into the folder of a check (folder.check_folder)."""
    order = ranked(records)
    at_limit = {check.id: sum(check.id in record.at_limit for record in order) for check in CHECKS}
    described = [facts(model.card, model.identity()) for model in models]
    with atomic_file(output / CSV_NAME) as stream:
        stream.write(_csv(order).encode())
    write_json(
        output / JSON_NAME,
        {
            "models": described,
            "checks": [
                {
                    "id": check.id,
                    "title": check.title,
                    "unit": check.unit,
                    "usual": check.usual,
                    "limit": check.limit,
                    "source": check.source,
                    "at_limit": at_limit[check.id],
                }
                for check in CHECKS
            ],
            "flags": [asdict(share) for share in flag_shares(records)],
            "scans": [_row(record) for record in order],
        },
    )
    page = _template().render(
        records=order,
        checks=CHECKS,
        titles={check.id: check.title for check in CHECKS},
        at_limit=at_limit,
        flags=flag_shares(records),
        models=[model.card for model in models],
        shown=lambda record, name: data_uri(output / PICTURES / record.stem / name),
    )
    with atomic_file(output / GALLERY_NAME) as stream:
        stream.write(page.encode())


def _row(record: Record) -> dict[str, object]:
    return {
        "name": record.name,
        "score": None if math.isinf(record.score) else round(record.score, 2),
        "at_limit": list(record.at_limit),
        "reasons": record.reasons,
        "refused": record.error,
        "flags": list(record.flags),
        "values": {name: finding.value for name, finding in record.findings.items()},
        "facts": dict(record.facts),
        "seconds": round(record.seconds, 1),
    }


def _csv(order: list[Record]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["rank", "name", "score", "at_limit", "reasons", "flags", *FACTS, *(check.id for check in CHECKS)])
    for rank, record in enumerate(order, 1):
        values = [record.findings[check.id].value if check.id in record.findings else "" for check in CHECKS]
        score = "" if math.isinf(record.score) else f"{record.score:.2f}"
        words = [" ".join(record.at_limit), record.reasons, " ".join(record.flags)]
        known = [_text(record.facts.get(name)) for name in FACTS]
        found = [f"{value:.4g}" if value != "" else "" for value in values]
        table.writerow([rank, record.name, score, *words, *known, *found])
    return stream.getvalue()


def _text(value: str | float | None) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


@cache
def _template() -> Template:
    return compiled(Path(__file__).with_name(TEMPLATE))
