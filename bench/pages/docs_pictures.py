"""The pictures of README, from those of `make screenshots`: cut to what says most, with 256 colours.

python -m bench.pages.docs_pictures [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from PIL import Image

from bench.service.site import ROOT

PICTURES: Final = {
    "analysis": ("analysis-done-3d-light-1440", 0, 1130),
    "slices": ("analysis-done-slices-dark-1440", 0, 1290),
    "measurements": ("analysis-done-measurements-light-1440", 0, 1130),
    "compare": ("compare-two-light-1440", 0, 1130),
    "home": ("home-found-light-1440", 0, 1130),
}
"""Name in docs/ -> name of the screenshot, first and last row of pixels."""

COLOURS: Final = 256
MOST_BYTES: Final = 400 * 1024


def main() -> int:
    """-> 1 where a picture is too large."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots"
    too_large = False
    for name, (source, first, last) in PICTURES.items():
        with Image.open(folder / f"{source}.png") as whole:
            picture = whole.convert("RGB").crop((0, first, whole.width, min(last, whole.height)))
        target = ROOT / "docs" / f"{name}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
        size = target.stat().st_size
        too_large |= size > MOST_BYTES
        print(f"{target.relative_to(ROOT)}: {size / 1024:.0f} kB")
    return int(too_large)


if __name__ == "__main__":
    sys.exit(main())
