"""Adapted models in MODELS_DIR: found under the folder's name, with verified files, and figures of these files only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import ModelError
from pipeline.segmentation.card import BUILT_IN_WEIGHTS, CARD_NAME
from pipeline.segmentation.identity import FIRST_PASS, INSTALLED, WEIGHTS
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.models.adapted_folder import FAMILY, find
from pipeline.segmentation.models.knee_edges import KneeEdges, knee_edges
from pipeline.segmentation.registry import model, models
from pipeline.types import Resources

ACCURACY = {"measured_on": "4 scans of this lab", "structures": {"femur": {"dice": 0.97}}}


def installed(models_dir: Path, name: str = "my_lab", **changes: object) -> Resources:
    """The built-in first pass as if it had been adapted."""
    folder = models_dir / name
    shutil.copytree(BUILT_IN_WEIGHTS / "knee_unet", folder)
    content = json.loads((folder / CARD_NAME).read_text())
    content |= {"id": "my_lab", "family": FAMILY, "edges": True} | changes
    (folder / CARD_NAME).write_text(json.dumps(content))
    return Resources(models_dir=models_dir)


def digests() -> dict[str, str]:
    return {WEIGHTS: knee_edges().weights.sha256, FIRST_PASS: knee_unet().weights.sha256}


def test_a_folder_is_offered_under_its_name_with_its_own_first_pass(tmp_path: Path) -> None:
    resources = installed(tmp_path, name="lab_2", licence="of the lab")
    found = model("lab_2", resources)
    assert found.availability().available
    assert found.identity().digests == digests()
    assert (found.identity().source, found.card.source, found.card.id) == (INSTALLED, INSTALLED, "lab_2")
    assert (found.card.licence, found.card.family) == ("of the lab", FAMILY)
    assert found.card.structures == knee_unet().card.structures


def test_the_card_decides_whether_edges_are_located(tmp_path: Path) -> None:
    (alone,) = find(installed(tmp_path, edges=False))
    assert dict(alone.identity().digests) == {WEIGHTS: knee_unet().weights.sha256}
    (located,) = find(installed(tmp_path / "other"))
    assert isinstance(located._ready(), KneeEdges)


def test_figures_of_other_files_are_not_shown(tmp_path: Path) -> None:
    (own,) = find(installed(tmp_path / "own", accuracy=ACCURACY | {"digests": digests()}))
    assert own.card.figures.accuracy["femur"].dice == 0.97
    older = digests() | {WEIGHTS: "0" * 64}
    (other,) = find(installed(tmp_path / "other", accuracy=ACCURACY | {"digests": older}))
    assert not other.card.figures.accuracy


def test_damaged_weights_are_not_used(tmp_path: Path) -> None:
    resources = installed(tmp_path)
    with (tmp_path / "my_lab" / "weights.onnx").open("ab") as file:
        file.write(b"0")
    state = model("my_lab", resources).availability()
    assert (state.available, state.reason) == (False, "weights file weights.onnx is damaged")


@pytest.mark.parametrize(
    "changes", [{"weights": "../my_lab/weights.onnx"}, {"labels": {"x": 1}}, {"numbering": "none"}]
)
def test_a_card_that_cannot_be_used_is_listed_with_the_reason(tmp_path: Path, changes: dict[str, object]) -> None:
    resources = installed(tmp_path, **changes)
    found = model("my_lab", resources)
    assert "cannot be read" in found.card.title
    assert not found.availability().available
    with pytest.raises(ModelError, match="The card of model my_lab cannot be read"):
        found.provenance(resources)


def test_folders_with_invalid_names_and_missing_folders_are_left_out(tmp_path: Path) -> None:
    assert not find(installed(tmp_path, name="my lab"))
    assert not find(Resources(models_dir=tmp_path / "missing"))
    assert not find(Resources())
    assert "my lab" not in [entry.card.id for entry in models(Resources(models_dir=tmp_path))]
