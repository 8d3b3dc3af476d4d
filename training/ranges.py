"""Minimum and maximum thickness, area and volume in expert label maps, for the quality flags.

python -m training.ranges FOLDER_WITH_OAI_LABEL_MAPS
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, NUMBERINGS, Structure
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.measure import measure_thickness, measure_volumes
from pipeline.quality import RANGES_PATH, tracked
from pipeline.regions import split_compartments, subregions
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Measurement


def measured(path: Path) -> list[Measurement]:
    """The measurements of one expert map (OAI numbering) that the flags use."""
    raw = canonical_labels(read_label_map(path), NUMBERINGS["oai"])
    alignment = align_knee(bone_surface(raw, Structure.FEMUR))
    knee = split_compartments(raw, alignment)
    parts = subregions(knee, alignment)
    rows = list(measure_volumes(knee, parts))
    for bone in BONES:
        union, _ = thickness_maps(bone_surface(knee, bone), knee, parts, 0.0)
        rows += measure_thickness(union)
    print(f"{path.name} {alignment.side} {alignment.residual_mm:.2f} {alignment.residual_other_mm:.2f}", flush=True)
    return [row for row in rows if tracked(row)]


def main(folder: Path) -> None:
    """Write models/reference_knee/ranges.json."""
    paths = sorted(folder.glob("*.nii.gz"))
    values: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        for row in measured(path):
            values[str(tracked(row))].append(row.value)
    content = {
        "made_by": "python -m training.ranges",
        "from": f"{len(paths)} expert label maps of Osteoarthritis Initiative knees (arXiv:2211.16696)",
        "ranges": {key: [round(min(found), 3), round(max(found), 3)] for key, found in sorted(values.items())},
    }
    RANGES_PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
