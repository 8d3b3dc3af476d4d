"""T1rho: the same fit as T2 over spin-lock times, under its own names; never taken for T2, nor T2 for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import SUBREGION_SCHEME, Structure
from pipeline.anatomy.subregions import CONDYLE
from pipeline.errors import OptionsError, UnsupportedImage
from pipeline.grid import NO_PLANES, Grid
from pipeline.image_io import check_scan
from pipeline.options import SPIN_LOCK_TIMES, AnalysisOptions, read_times
from pipeline.quantities import Method
from pipeline.relaxation import RELAXATIONS, T1RHO_RELAXATION, T2_RELAXATION
from pipeline.report.volumes import write_t2
from pipeline.results_tree import R2_MAP, T1RHO_MAP, T1RHO_R2_MAP, T2_MAP
from pipeline.t2.layers import measure_t2, relative_depth, usable_voxels
from pipeline.t2.maps import fit_t2_map, t2_unavailable
from pipeline.types import Measurement, RelaxationMap, Scan, Segmentation
from tests.support.image_io_writers import make_phantom, write_dicom

LOCKS_MS = (0.0, 10.0, 40.0, 80.0)
SHAPE = (10, 24, 12)
DEEP_MS, SUPERFICIAL_MS = 38.0, 52.0


def slab() -> Segmentation:
    """Along y: femur to 7, femoral cartilage 8 to 15, then fluid; oblique and anisotropic."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:-2, :8, 2:-2] = Structure.FEMUR
    labels[2:-2, 8:16, 2:-2] = Structure.FEMORAL_CARTILAGE
    turn, _ = np.linalg.qr(np.array([[0.9, 0.3, 0.1], [-0.2, 1.0, 0.1], [0.1, -0.2, 1.1]]))
    turn *= np.sign(np.linalg.det(turn))
    grid = Grid(shape=SHAPE, spacing_mm=(3.0, 0.4, 0.6), origin_mm=np.array([-20.0, 31, 7]), direction=turn)
    return Segmentation(labels=labels, grid=grid, model_id="phantom")


def truth(segmentation: Segmentation) -> NDArray[np.float64]:
    depth = relative_depth(segmentation)
    return np.where(depth < 0.5, DEEP_MS, SUPERFICIAL_MS)


def scan_of(times: NDArray[np.float64], sequence: PulseSequence = PulseSequence.UNKNOWN, **acquisition: bool) -> Scan:
    locks = np.array(LOCKS_MS)[:, None, None, None]
    return Scan(
        echoes=(900 * np.exp(-locks / times)).astype(np.float32),
        grid=slab().grid,
        sequence=sequence,
        acquisition=Acquisition(**acquisition),
    )


def fitted() -> tuple[RelaxationMap, Segmentation]:
    segmentation = slab()
    scan = scan_of(truth(segmentation))
    return fit_t2_map(scan, segmentation, skip_first_echo=True, spin_lock_times_ms=LOCKS_MS), segmentation


def test_a_known_t1rho_is_recovered_from_all_images() -> None:
    found, segmentation = fitted()
    inside = segmentation.labels == Structure.FEMORAL_CARTILAGE
    np.testing.assert_allclose(found.time_ms[inside], truth(segmentation)[inside], rtol=1e-5)
    assert found.method is Method.SPIN_LOCK
    assert found.relaxation is T1RHO_RELAXATION
    assert found.r2[inside].min() > 0.9999


def test_rows_have_the_names_of_t1rho_and_its_layers() -> None:
    found, segmentation = fitted()
    regions = np.where(segmentation.labels == Structure.FEMORAL_CARTILAGE, 12, 0).astype(np.uint8)
    rows = measure_t2(found, regions, relative_depth(segmentation))
    assert {row.quantity for row in rows} == {quantity.id for quantity in T1RHO_RELAXATION.layers}
    assert not {row.quantity for row in rows} & {quantity.id for quantity in T2_RELAXATION.layers}
    values = {(row.quantity, row.region, row.statistic): row for row in rows if row.structure == "femoral_cartilage"}
    assert values["T1rho_deep", "medial_weight_bearing", "median"].value == pytest.approx(DEEP_MS, rel=1e-5)
    assert values["T1rho_superficial", "all", "mean"].value == pytest.approx(SUPERFICIAL_MS, rel=1e-5)
    assert values["T1rho_excluded", "all", "share"].value == 0.0
    assert values["T1rho", "all", "median"].method == "spin_lock"


def test_voxels_beyond_the_range_are_counted_and_left_out() -> None:
    segmentation = slab()
    inside = segmentation.labels == Structure.FEMORAL_CARTILAGE
    times = np.where(inside, 45.0, np.nan)
    times[:, 8], times[:, 9] = np.where(inside[:, 8], 120.0, np.nan), np.where(inside[:, 9], 140.0, np.nan)
    for relaxation, method, kept in (
        (T1RHO_RELAXATION, Method.SPIN_LOCK, 7 / 8),
        (T2_RELAXATION, Method.MULTI_ECHO, 6 / 8),
    ):
        r2 = np.ones(SHAPE, dtype=np.float32)
        found = RelaxationMap(time_ms=times.astype(np.float32), r2=r2, method=method, grid=segmentation.grid)
        assert usable_voxels(found)[inside].mean() == kept
        rows = measure_t2(found, np.where(inside, 12, 0).astype(np.uint8), relative_depth(segmentation))
        (share,) = [
            row for row in rows if row.quantity == relaxation.excluded.id and row.region == "medial_weight_bearing"
        ]
        assert share.value == pytest.approx(100 * (1 - kept))
        assert share.n == inside.sum()


def test_a_scan_that_names_t1rho_is_never_taken_for_t2() -> None:
    scan = scan_of(truth(slab()), PulseSequence.MULTI_ECHO_SPIN_ECHO, spin_lock=True)
    reason = t2_unavailable(scan) or ""
    assert "spin_lock_times_ms" in reason
    assert t2_unavailable(scan, spin_lock_times_ms=LOCKS_MS) is None
    with pytest.raises(UnsupportedImage, match="No T2"):
        fit_t2_map(scan, slab(), skip_first_echo=False)


def test_the_reason_names_the_echo_times_that_may_be_spin_lock_times(tmp_path: Path) -> None:
    def spin_echo(data: Dataset, *_: int) -> None:
        data.ScanningSequence = "SE"

    def named(data: Dataset, *_: int) -> None:
        data.ScanningSequence, data.SeriesDescription = "SE", "SAG CubeQuant T1rho"

    facts = check_scan(write_dicom(make_phantom(3, echoes=4), tmp_path / "lock", change=named))
    assert facts.acquisition.spin_lock
    assert "its echo times may be them: " in facts.t2_unavailable
    plain = check_scan(write_dicom(make_phantom(3, echoes=4), tmp_path / "echo", change=spin_echo))
    assert not plain.acquisition.spin_lock
    assert plain.t2_unavailable == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("3D MAPSS knee", True),
        ("T1_rho SAG", True),
        ("sag spin-lock 500 Hz", True),
        ("SAG T1R", True),
        ("SAG T1 TSE RIGHT", False),
        ("SAG T2 MAP RIGHT", False),
    ],
)
def test_descriptions_of_spin_lock_sequences_are_recognised(text: str, named: bool, tmp_path: Path) -> None:
    folder = write_dicom(make_phantom(1), tmp_path / "s", change=lambda d, *_: setattr(d, "SeriesDescription", text))
    assert check_scan(folder).acquisition.spin_lock is named


def test_dess_and_single_images_have_no_t1rho() -> None:
    dess = scan_of(truth(slab()), PulseSequence.QDESS)
    assert "no spin lock" in (t2_unavailable(dess, spin_lock_times_ms=LOCKS_MS) or "")
    one = scan_of(truth(slab()))
    one = Scan(echoes=one.echoes[:1], grid=one.grid, sequence=one.sequence)
    assert (t2_unavailable(one, spin_lock_times_ms=(10.0,)) or "").startswith("1 image; T1rho needs at least 2")
    mixed = scan_of(truth(slab()), comparable_values=False)
    assert "comparable values" in (t2_unavailable(mixed, spin_lock_times_ms=LOCKS_MS) or "")


def test_there_is_one_spin_lock_time_per_image() -> None:
    with pytest.raises(OptionsError, match="spin_lock_times_ms has 3 entries; the scan has 4 images"):
        fit_t2_map(scan_of(truth(slab())), slab(), skip_first_echo=False, spin_lock_times_ms=LOCKS_MS[:3])


def test_times_are_of_one_kind_and_only_a_spin_lock_may_last_0_ms() -> None:
    assert (
        AnalysisOptions(spin_lock_times_ms=read_times("0, 10, 40, 80", SPIN_LOCK_TIMES)).spin_lock_times_ms == LOCKS_MS
    )
    with pytest.raises(OptionsError, match="expected one of them"):
        AnalysisOptions(spin_lock_times_ms=LOCKS_MS, echo_times_ms=(10.0, 20.0, 30.0, 40.0))
    for wrong in ((40.0, 10.0), (0.0, 0.0), (-1.0, 5.0)):
        with pytest.raises(OptionsError, match="spin_lock_times_ms are"):
            AnalysisOptions(spin_lock_times_ms=wrong)
    with pytest.raises(OptionsError, match="echo_times_ms are"):
        AnalysisOptions(echo_times_ms=LOCKS_MS)
    with pytest.raises(OptionsError, match="spin_lock_times_ms are not valid"):
        read_times("10, long", SPIN_LOCK_TIMES)


def test_maps_are_written_under_their_own_names(tmp_path: Path) -> None:
    found, _ = fitted()
    write_t2(found, NO_PLANES, tmp_path)
    assert T1RHO_MAP.at(tmp_path).exists()
    assert T1RHO_R2_MAP.at(tmp_path).exists()
    assert not T2_MAP.at(tmp_path).exists()
    assert not R2_MAP.at(tmp_path).exists()


def test_no_two_relaxation_times_share_a_quantity() -> None:
    ids = [quantity.id for known in RELAXATIONS for quantity in known.layers]
    assert len(ids) == len(set(ids)) == 4 * len(RELAXATIONS)


def test_subregions_have_the_same_quantities_and_add_up_to_their_region() -> None:
    found, segmentation = fitted()
    depth, inside = relative_depth(segmentation), segmentation.labels == Structure.FEMORAL_CARTILAGE
    whole = np.where(inside, 12, 0).astype(np.uint8)
    divided = np.where(inside, CONDYLE[0]["central"].label, 0).astype(np.uint8)
    divided[:, :, 6:][inside[:, :, 6:]] = CONDYLE[0]["external"].label
    (region,) = [row for row in measure_t2(found, whole, depth) if key(row) == ("T1rho", "medial_weight_bearing")]
    parts = {key(row): row for row in measure_t2(found, divided, depth, SUBREGION_SCHEME) if row.statistic == "mean"}
    assert {name for quantity, name in parts if quantity == "T1rho"} == {r.name for r in SUBREGION_SCHEME.regions}
    for place, expected in (("cMF", inside.sum()), ("ccMF", inside[:, :, :6].sum()), ("cMT", 0)):
        assert parts["T1rho", place].n == expected
    assert parts["T1rho", "cMF"].value == pytest.approx(region.value)
    assert parts["T1rho_deep", "ecMF"].value == pytest.approx(DEEP_MS, rel=1e-5)
    assert np.isnan(parts["T1rho", "cMT"].value)


def key(row: Measurement) -> tuple[str, str]:
    """Of a mean; other statistics have a key that nobody asks for."""
    return (row.quantity, row.region) if row.statistic == "mean" else ("", row.region)
