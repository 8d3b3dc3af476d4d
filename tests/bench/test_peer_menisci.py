"""Menisci drawn for the comparison with mskt, and the label map that both programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.drawn_menisci import with_drawn_menisci
from bench.peer_menisci import Found, cases, missed_bars, write_case
from pipeline.anatomy import NUMBERINGS, Structure
from pipeline.image_io import read_label_map
from pipeline.labels import canonical_labels
from pipeline.types import Segmentation
from tests.support.knees import turned_knee
from training.limb import limb_frame

MENISCI = (Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS)


def outermost_mm(knee: Segmentation) -> float:
    """How far the medial meniscus reaches towards medial."""
    places = limb_frame(knee.labels, knee.grid).coordinates(
        knee.grid.to_mm(np.argwhere(knee.mask(Structure.MEDIAL_MENISCUS)))
    )
    return float(np.percentile(places[:, 0], 99.5))


def test_drawn_menisci_take_background_alone_and_extrude_only_where_asked(tmp_path: Path) -> None:
    knee = turned_knee()
    drawn = with_drawn_menisci(knee, frozenset(), 1)
    changed = drawn.labels != knee.labels
    assert set(np.unique(knee.labels[changed])) == {0}
    assert set(np.unique(drawn.labels[changed])) == set(MENISCI)
    for meniscus in MENISCI:
        assert 1.0 < drawn.mask(meniscus).sum() * drawn.grid.voxel_volume_mm3 / 1000.0 < 4.5, "cm3"
    extruded = with_drawn_menisci(knee, frozenset({Structure.MEDIAL_MENISCUS}), 1)
    assert 2.0 < outermost_mm(extruded) - outermost_mm(drawn) < 7.0

    path = write_case(drawn, tmp_path)
    again = canonical_labels(read_label_map(path), NUMBERINGS["pymskt"])
    assert np.array_equal(again.labels, drawn.labels)
    assert np.allclose(again.grid.affine, drawn.grid.affine)
    titles = [case.title for case in cases(path)]
    assert "Menisci of the label map" in titles, "given menisci are measured, not replaced"


def test_a_value_far_from_the_truth_of_the_phantom_is_named() -> None:
    ours = {"medial": {"extrusion": 2.6, "coverage": 66.0}}
    found = Found(
        title="Phantom",
        columns={"ours": ours},
        truth={"medial": {"extrusion": 2.5, "coverage": 60.5}},
        superior_deg=0.0,
        medial_deg=0.0,
    )
    (line,) = missed_bars([found])
    assert "coverage" in line
    assert "5.50" in line
