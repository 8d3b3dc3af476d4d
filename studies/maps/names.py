"""Names of the files of a map, without the libraries that write them."""

from __future__ import annotations

from typing import Final

from pipeline.anatomy import Structure
from pipeline.results_tree import ViewFile

BONES: Final = (Structure.FEMUR, Structure.TIBIA, Structure.PATELLA)
EXPLORATORY: Final = "Exploratory, not corrected for multiple comparisons"
SCENE: Final = ViewFile.SCENE.value
PICTURE: Final = "maps.png"
LEFT_OUT: Final = "left_out.csv"
ARRAYS: Final = {bone: f"{bone.key}_maps.npz" for bone in BONES}
TABLES: Final = {bone: f"{bone.key}_maps.csv" for bone in BONES}
FILES: Final = (PICTURE, *ARRAYS.values(), *TABLES.values(), LEFT_OUT)
"""Without the scene, which only the page reads; it is stored as gzip."""
