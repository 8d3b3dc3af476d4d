"""What the names of files in one upload say about echoes, as dcm2niix and BIDS name them.

`scan_e1.nii.gz`, `scan_e2.nii.gz` are echoes of one scan. A sidecar has the name of its image with the ending .json;
its EchoTime is in seconds (BIDS 1.10, MRI metadata).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.file_kinds import input_stem

_ECHO: Final = re.compile(r"(?P<before>.*?)[_-](?:echo-?|e)(?P<number>[0-9]{1,2})(?P<after>(?:[_-].*)?)", re.IGNORECASE)
_MAX_SIDECAR_BYTES: Final = 1 << 20
_SIDECAR: Final = ".json"

Names = Mapping[Path, str]
"""File -> its name in the upload."""


def echo_order(files: list[Path], names: Names) -> list[Path] | None:
    """The files in the order of their echo numbers; None where their names are not those of the echoes of one scan."""
    if len(files) < 2:
        return None
    numbered: dict[int, Path] = {}
    stems = set()
    for file in files:
        match = _ECHO.fullmatch(input_stem(names[file]))
        if match is None:
            return None
        numbered[int(match["number"])] = file
        stems.add((match["before"].lower(), match["after"].lower()))
    if len(stems) > 1 or len(numbered) < len(files):
        return None
    return [numbered[number] for number in sorted(numbered)]


def sidecar_times(file: Path, names: Names) -> tuple[float, ...]:
    """Echo times in ms from the sidecar of a file; empty where there is none, or none in it."""
    wanted = PurePosixPath(names[file]).with_name(input_stem(names[file]) + _SIDECAR)
    sidecar = next((path for path, name in names.items() if PurePosixPath(name) == wanted), None)
    if sidecar is None or sidecar.stat().st_size > _MAX_SIDECAR_BYTES:
        return ()
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))["EchoTime"]
        seconds = [float(value) for value in (found if isinstance(found, list) else [found])]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    # no echo of a knee comes after a second: such a value is in ms already
    times = [value if value > 1 else round(1000 * value, 6) for value in seconds]
    return tuple(times) if all(0 < time < 1e4 for time in times) else ()
