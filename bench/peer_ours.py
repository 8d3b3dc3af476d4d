"""Our side of the comparison with the peer: the same label map and stages, in a separate process.

    python -m bench.peer_ours LABELS OUT_DIR

Writes OUT_DIR/ours.json and OUT_DIR/ours_subregions.npy (z, y, x; canonical numbering).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, NUMBERINGS, Structure
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.measure import measure_thickness
from pipeline.options import AnalysisOptions
from pipeline.quantities import THC, Method
from pipeline.regions import split_compartments, subregions
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps


def main(labels_path: Path, out_dir: Path) -> None:
    """Measure, and write results and cost."""
    label_map = read_label_map(labels_path)
    start = time.process_time()
    raw = canonical_labels(label_map, NUMBERINGS["pymskt"])
    surfaces = {bone: bone_surface(raw, bone) for bone in BONES}
    alignment = align_knee(surfaces[Structure.FEMUR])
    segmentation = split_compartments(raw, alignment)
    parts = subregions(segmentation, alignment)
    split = time.process_time()
    smoothing = AnalysisOptions().cartilage_smoothing
    rows = [
        row
        for surface in surfaces.values()
        for item in thickness_maps(surface, segmentation, parts, smoothing)
        for row in measure_thickness(item)
        if (row.quantity, row.statistic) == (THC.id, THC.main)
    ]
    stop = time.process_time()
    np.save(out_dir / "ours_subregions.npy", parts)
    found = {
        "means": {
            method: {f"{row.structure}/{row.region}": row.value for row in rows if row.method == method}
            for method in (Method.UNION, Method.TWO_CROSSING)
        },
        "cpu_surfaces_regions_s": split - start,
        "cpu_thickness_s": stop - split,
        "cpu_s": stop - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    }
    (out_dir / "ours.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):  # as pipeline.run does
        main(Path(sys.argv[1]), Path(sys.argv[2]))
