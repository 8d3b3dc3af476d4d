"""Where a comparison's files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RESULT: Final = "comparison.json"
TABLE: Final = "changes.csv"
VIEW: Final = "view"
SCENE: Final = "scene.bin.gz"

REPRODUCIBILITY_PATH: Final = Path(__file__).parent.parent.parent / "models" / "reproducibility.json"
"""How much repeated scans differ: see reproducibility.py."""
