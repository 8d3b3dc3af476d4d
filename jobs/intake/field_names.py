"""Names of fields in requests: none is ignored.

A misspelt name, or a form field sent in the query, is refused with the name that was meant. Any other unknown name
becomes a warning in the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from typing import Final

from jobs.errors import InvalidForm
from jobs.intake.form import OptionsForm, UploadForm
from jobs.intake.parts import FilePart
from pipeline.options import AnalysisOptions

UPLOAD_FIELDS: Final = (*map(str, FilePart), *UploadForm.model_fields)
"""Of POST /upload and POST /scans."""
START_FIELDS: Final = tuple(UploadForm.model_fields)
"""Of POST /scans/{scan_id}/start."""
OPTION_FIELDS: Final = tuple(OptionsForm.model_fields)
"""Of POST /jobs/{job_id}/retry."""

CLOSE: Final = 0.75
"""Similarity (0 to 1) above which an unknown name counts as a misspelt one: `sid` 0.86, `email2` 0.91, `id` 0.67."""

_FLAGS: Final = {
    flag.strip("-").replace("-", "_"): item.name for item in fields(AnalysisOptions) if (flag := item.metadata["flag"])
}
"""Names of the command line -> names of the fields."""


def check_names(names: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Warnings about unknown fields of a body. Raises InvalidForm if one is a misspelt name."""
    unknown = [name for name in names if name not in known]
    meant = {name: field for name in unknown if (field := _meant(name, known))}
    if meant:
        raise InvalidForm(
            [_detail("body", name, f"Unknown field; did you mean '{field}'?") for name, field in meant.items()]
        )
    return tuple(f"The field '{name[:60]}' is not known and was not used." for name in unknown)


def check_query(names: Iterable[str], known: tuple[str, ...], used: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Warnings about unknown names in the query. Raises InvalidForm if one is a field of the body, or misspelt.

    used: names that the route reads from the query
    """
    unknown = [name for name in names if name not in used]
    details = []
    for name in unknown:
        if _meant(name, used):
            details.append(_detail("query", name, f"Unknown parameter; did you mean '{_meant(name, used)}'?"))
        elif field := name if name in known else _meant(name, known):
            details.append(_detail("query", name, f"This is not read from the query; send '{field}' in the body."))
    if details:
        raise InvalidForm(details)
    return tuple(f"The parameter '{name[:60]}' in the query is not known and was not used." for name in unknown)


def _meant(name: str, known: tuple[str, ...]) -> str:
    """The known name that an unknown one resembles; empty if there is none."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if _FLAGS.get(plain) in known:
        return _FLAGS[plain]
    return next(iter(get_close_matches(plain, known, n=1, cutoff=CLOSE)), "")


def _detail(place: str, name: str, text: str) -> dict[str, object]:
    return {"type": "unknown_field", "loc": [place, name], "msg": text, "input": None}
