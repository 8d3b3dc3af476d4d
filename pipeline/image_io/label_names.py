"""Names of labels in files beside a label map: ITK-SNAP label descriptions, and dataset.json of nnU-Net."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any, Final

from pipeline.image_io.echo_names import Names

_MAX_BYTES: Final = 1 << 20

_SNAP_LINE: Final = re.compile(
    r"[ \t]*(\d{1,5})(?:[ \t]+\d{1,3}){3}[ \t]+[\d.]{1,12}[ \t]+\d[ \t]+\d[ \t]+\"([^\"]{1,200})\"[ \t]*"
)
"""`IDX R G B A VIS MSH "LABEL"`, see the comment at the top of ITK-SNAP's files."""


def names_beside(names: Names) -> dict[int, str]:
    """Label -> name, from the first description among the files of an upload; empty if there is none."""
    for file, name in names.items():
        path = PurePosixPath(name.lower())
        if path.suffix not in (".txt", ".label", ".json") or file.stat().st_size > _MAX_BYTES:
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found = _dataset_names(text) if path.suffix == ".json" else _snap_names(text)
        if found:
            return found
    return {}


def _snap_names(text: str) -> dict[int, str]:
    matches = [match for line in text.splitlines() if (match := _SNAP_LINE.fullmatch(line))]
    return {int(match[1]): match[2] for match in matches if int(match[1])}


def _dataset_names(text: str) -> dict[int, str]:
    """From `labels` of a dataset.json: name -> number, or number -> name in its first version."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, dict):
        return {}
    pairs = [(str(key), str(value)) for key, value in labels.items() if isinstance(value, (int, str))]
    found = [(value, key) if value.isdigit() else (key, value) for key, value in pairs]
    return {int(number): name for number, name in found if re.fullmatch(r"\d{1,5}", number) and int(number)}
