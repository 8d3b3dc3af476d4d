"""The pictures of the README: crops of the `make screenshots` pictures, small enough for a repository.

Colours are not reduced to a palette: with 256 colours the colour scales would change.

python -m bench.pages.docs_pictures [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from PIL import Image

from bench.service.site import ROOT

PICTURES: Final = {
    "analysis": ("analysis-done-3d-light-1440", 0, 1150),
    "slices": ("analysis-done-slices-dark-1440", 0, 1330),
    "measurements": ("analysis-done-measurements-light-1440", 0, 1440),
    "compare": ("compare-two-light-1440", 0, 1270),
}
"""Name in docs/ -> name of the screenshot, first and last row of pixels."""

SCALES: Final = (1.0, 0.9, 0.8, 0.7)
MOST_BYTES: Final = 400 * 1024


def main() -> int:
    """Returns 1 if a picture is too large."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots"
    too_large = False
    for name, (source, first, last) in PICTURES.items():
        with Image.open(folder / f"{source}.png") as whole:
            picture = whole.convert("RGB").crop((0, first, whole.width, min(last, whole.height)))
        target = ROOT / "docs" / f"{name}.png"
        size = _write(picture, target)
        too_large |= size > MOST_BYTES
        print(f"{target.relative_to(ROOT)}: {size / 1024:.0f} kB")
    return int(too_large)


def _write(picture: Image.Image, target: Path) -> int:
    """Write at the largest of SCALES that is small enough; returns the size in bytes."""
    size = 0
    for scale in SCALES:
        shape = (round(picture.width * scale), round(picture.height * scale))
        smaller = picture if scale == 1 else picture.resize(shape, Image.Resampling.LANCZOS)
        smaller.save(target, optimize=True)
        size = target.stat().st_size
        if size <= MOST_BYTES:
            break
    return size


if __name__ == "__main__":
    sys.exit(main())
