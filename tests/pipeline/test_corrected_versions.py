"""A corrected version takes parts of the analysis that its edit did not change: all its files stay the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.kept_parts import KeptParts
from pipeline.parts import PREFIX
from pipeline.products import SEGMENTATION
from pipeline.results_tree import PROVENANCE, REPORT, RESULTS
from pipeline.types import LabelArray
from pipeline.workspace import Workspace
from tests.support.corrections import corrected, first_analysis
from tests.support.versions import painted

TIMED = {PROVENANCE.path, REPORT.path, RESULTS.path}
"""Files of the results that have the seconds of each step."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return first_analysis(tmp_path_factory.mktemp("first"))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Of the last run: step -> names of the functions whose results were reused, and computed."""
    found: dict[str, list[list[str]]] = {}
    forget = KeptParts.forget_unused

    def noted(parts: KeptParts) -> None:
        found[parts._step] = [sorted(parts.reused), sorted(parts.computed)]
        forget(parts)

    monkeypatch.setattr(KeptParts, "forget_unused", noted)
    return found


def whole_shift(labels: LabelArray) -> LabelArray:
    return np.roll(labels, 1, axis=1)


EDITS: dict[str, Callable[[LabelArray], LabelArray]] = {
    "one_plate": lambda labels: painted(labels, Structure.MEDIAL_TIBIAL_CARTILAGE),
    "one_bone": lambda labels: painted(labels, Structure.FEMUR),
    "menisci": lambda labels: painted(painted(labels, Structure.MEDIAL_MENISCUS), Structure.LATERAL_MENISCUS),
    "everything": whole_shift,
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_a_version_with_kept_parts_equals_one_computed_from_nothing(
    first: Workspace, tmp_path: Path, used: dict[str, list[list[str]]], edit: str
) -> None:
    edited = EDITS[edit](SEGMENTATION.load(first).labels)
    version = corrected(first, tmp_path / "version", edited, keeps_parts=True)
    reused = {step: list(names[0]) for step, names in used.items()}
    fresh = corrected(first, tmp_path / "fresh", edited, keeps_parts=False)
    assert not any(names[0] for names in used.values()), "this one was computed from nothing"
    assert_equal(version, fresh)
    surfaces = len(reused["surfaces"])
    expected = {"one_plate": (3, 1, 2), "one_bone": (2, 0, 2), "menisci": (3, 1, 3), "everything": (0, 0, 0)}[edit]
    assert (surfaces, len(reused["align"]), reused["thickness"].count("plate_thickness")) == expected
    assert reused["measure"].count("_columns_of") == {"one_bone": 2, "one_plate": 0}.get(edit, 0)
    assert reused["maps"].count("_write") >= 1, "the images of the scan are always the same"


def assert_equal(version: Workspace, fresh: Workspace) -> None:
    """Every file of both, by its bytes, apart from times."""
    one, other = (dict(files(workspace)) for workspace in (version, fresh))
    assert set(one) == set(other)
    assert len(one) > 60
    assert [name for name in one if one[name] != other[name]] == []


def files(workspace: Workspace) -> Iterator[tuple[str, object]]:
    for folder in (workspace.work_dir, workspace.files_dir, workspace.view_dir):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(workspace.root).as_posix()
            if not path.is_file() or path.name.startswith(f"{PREFIX}.") or name == "work/steps.json":
                continue
            timed = (
                path.is_relative_to(workspace.files_dir) and path.relative_to(workspace.files_dir).as_posix() in TIMED
            )
            yield name, untimed(path) if timed else path.read_bytes()


def untimed(path: Path) -> object:
    """The content without seconds."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        data = json.loads(text)
        data.pop("seconds", None)
        for step in data.get("steps", ()):
            if isinstance(step, dict):
                step.pop("seconds", None)
        return data
    return re.sub(r'<td>[\d.]+</td>\s*<td class="wide"><span class="bar" style="width:[\d.]+%">', "", text)
