"""Small pictures of the outlines of each knee, made when they are first asked for and kept with the analysis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from jobs.studies.downloads import row_artifact
from pipeline.results_tree import OVERLAY

WIDTH: Final = 360
THUMBNAIL: Final = ".thumbnail.jpg"


def thumbnail(study_id: str, row: int) -> Path:
    """A JPEG of the contact sheet of a row. Raises ResultNotFound."""
    source = row_artifact(study_id, row, OVERLAY.path)
    target = source.parent / THUMBNAIL
    if not target.exists():
        from PIL import Image

        partial = target.with_name(f"{THUMBNAIL}.{os.getpid()}.part")
        with Image.open(source) as picture:
            height = max(1, round(picture.height * WIDTH / picture.width))
            picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS).save(partial, "JPEG", quality=82)
        partial.replace(target)
    return target
