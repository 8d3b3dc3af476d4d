"""Is an uploaded file an image that can be analysed? Asked in a child process: no upload is decoded in the web server.

`python -m jobs.validation PATH` writes one JSON object: {"ok": true} or {"ok": false, "code", "message", "hint"}.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from jobs.processes import die_with_parent
from jobs.settings import PROJECT_ROOT
from pipeline.errors import EmptyImage, InputError, KneeError, UnreadableImage

WALL_CLOCK_S: Final = 60

log = logging.getLogger(__name__)


def check_upload(path: Path) -> None:
    """Raises the InputError that read_scan raises for this file; UnreadableImage where the check dies or hangs."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "jobs.validation", str(path)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WALL_CLOCK_S,
            check=False,
        )
        verdict = json.loads(answer.stdout)
    except subprocess.TimeoutExpired:
        raise UnreadableImage(f"The file could not be read within {WALL_CLOCK_S} s.") from None
    except ValueError:
        # what a decoder says may quote the header, and with it the patient: the status alone is logged
        log.warning("check of an upload ended with status %d", answer.returncode)
        raise UnreadableImage("The file is damaged, or too large to be read.") from None
    if not verdict["ok"]:
        raise _by_code(verdict["code"])(verdict["message"], hint=verdict["hint"])


def _by_code(code: str) -> type[KneeError]:
    kinds: dict[str, type[KneeError]] = {kind("").code: kind for kind in InputError.__subclasses__()}
    return kinds.get(code, UnreadableImage)


def _verdict(path: Path) -> dict[str, Any]:
    from pipeline.image_io import read_scan

    try:
        read_scan(path)
    except EmptyImage:
        return {"ok": True}  # readable: the job says what is wrong with it
    except KneeError as error:
        return {"ok": False, "code": error.code, "message": error.message, "hint": error.hint}
    except MemoryError:
        return {"ok": False, "code": "", "message": "The image is too large to be read.", "hint": ""}
    return {"ok": True}


if __name__ == "__main__":
    die_with_parent()
    sys.stdout.write(json.dumps(_verdict(Path(sys.argv[1]))))
