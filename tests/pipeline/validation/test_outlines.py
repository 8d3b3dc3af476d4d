"""Expert label maps of every layout are read with their numbering and measured; others are refused."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.anatomy import ALL, CARTILAGE_OF, PLATE_ON, TABLE_ORDER, Plate, Side, Structure
from pipeline.errors import UnsupportedImage
from pipeline.options import AnalysisOptions
from pipeline.quantities import DAB, PRIMARY, SECOND, TAB, THC, VOLUME, Method
from pipeline.regions import split_compartments
from pipeline.types import Alignment, Resources
from pipeline.validation.case import inputs_of, read_as
from pipeline.validation.hdf5_files import convert
from pipeline.validation.labelled_set import read_set
from pipeline.validation.outlines import expert_outlines, on_bones_of
from pipeline.workspace import Workspace
from tests.support.labelled_sets import nnunet_set, plain_set, skm_tea_set, small_pair, zib_set

TIBIAL = set(CARTILAGE_OF[Structure.TIBIA])


def expert(folders, tmp_path, numbering=""):
    labelled = read_set(*folders)
    options = AnalysisOptions(numbering=numbering) if numbering else read_as(AnalysisOptions(), labelled.layout)
    scan, labels = inputs_of(labelled.cases[0], labelled.layout, tmp_path / "given")
    return expert_outlines(Workspace(tmp_path / "work"), options, Resources(), scan, labels)


def volume_mm3(*structures: Structure) -> float:
    _, labels = small_pair()
    return float(np.isin(sitk.GetArrayFromImage(labels), structures).sum() * np.prod(labels.GetSpacing()))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    return expert(plain_set(folder), folder)


def test_a_label_map_is_measured_as_in_an_analysis(plain) -> None:
    measures = plain.measures()
    assert {quantity for quantity, *_ in measures} == {item.id for item in (THC, TAB, DAB, VOLUME)}
    assert measures[VOLUME.id, Method.VOXEL_COUNT, Plate.FEMORAL, ALL] == pytest.approx(
        volume_mm3(Structure.FEMORAL_CARTILAGE)
    )


@pytest.mark.parametrize("make", [zib_set, nnunet_set])
def test_a_layout_is_read_with_its_own_numbering(make, plain, tmp_path) -> None:
    found = expert(make(tmp_path), tmp_path)
    present = set(found.segmentation.boxes)
    assert present >= TIBIAL
    assert (found.whole.labels == plain.whole.labels)[np.isin(plain.whole.labels, list(present))].all()
    key = (THC.id, PRIMARY, PLATE_ON[Structure.TIBIA].value, ALL)
    assert found.measures()[key] == pytest.approx(plain.measures()[key])


def test_a_structure_that_the_label_maps_lack_has_no_measure(tmp_path) -> None:
    found = expert(zib_set(tmp_path), tmp_path)
    assert Structure.PATELLA not in found.segmentation.boxes
    assert not [place for place in found.measures() if Plate.PATELLAR in place]


def test_label_maps_without_bones_are_measured_on_other_bones(plain, tmp_path) -> None:
    found = expert(skm_tea_set(tmp_path), tmp_path)
    assert (found.alignment, found.measures()) == (None, {})
    placed = on_bones_of(found, plain, AnalysisOptions().cartilage_smoothing)
    own, whole = (item.measures(on_own_bones=False) for item in (placed, plain))
    assert {(quantity, method) for quantity, method, *_ in own} == {
        (VOLUME.id, Method.VOXEL_COUNT),
        *((quantity.id, SECOND) for quantity in (THC, TAB, DAB)),
    }
    # cartilage on another outline's bones is measured by the first scheme of regions alone
    regions = {(region.plate.value, region.name) for region in TABLE_ORDER}
    kinds = {(quantity, method) for quantity, method, *_ in own}
    assert own == pytest.approx(
        {key: value for key, value in whole.items() if key[:2] in kinds and key[2:] in regions}, nan_ok=True
    )


@pytest.mark.parametrize(("make", "numbering"), [(zib_set, "pymskt"), (skm_tea_set, "canonical")])
def test_a_wrong_numbering_is_refused_with_words(make, numbering, tmp_path) -> None:
    with pytest.raises(UnsupportedImage, match="label"):
        expert(make(tmp_path), tmp_path, numbering)


@pytest.mark.skipif(find_spec("h5py") is not None, reason="h5py is installed")
def test_a_missing_library_is_an_error_with_a_hint(tmp_path) -> None:
    (tmp_path / "a.im").write_bytes(b"")
    with pytest.raises(UnsupportedImage, match="h5py") as refused:
        convert(tmp_path / "a.im", tmp_path / "a.seg", tmp_path)
    assert "pip install h5py" in refused.value.hint


@pytest.mark.skipif(find_spec("h5py") is None, reason="h5py is not installed")
def test_files_of_the_challenge_are_converted_and_their_sides_found(plain, tmp_path) -> None:
    from tests.support.labelled_sets import challenge_set

    found = expert(challenge_set(tmp_path / "test"), tmp_path)
    # a right knee in LPS: medial is towards the left of the patient
    frame = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=0.0, residual_other_mm=1.0)
    placed = split_compartments(found.segmentation, frame)
    assert {Structure.FEMORAL_CARTILAGE, Structure.PATELLAR_CARTILAGE, *TIBIAL} == set(placed.boxes)
    counts = [
        [int((labels == plate).sum()) for plate in placed.boxes] for labels in (placed.labels, plain.whole.labels)
    ]
    assert counts[0] == counts[1]
