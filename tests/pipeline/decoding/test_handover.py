"""What a confined process hands over is taken without loss, and only if it has the expected size and types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side
from pipeline.decoding.handover import (
    ARRAY,
    VERDICT,
    Malformed,
    read_verdict,
    take_label_map,
    take_scan,
    write_label_map,
    write_scan,
    write_verdict,
)
from pipeline.grid import Grid
from pipeline.types import LabelMap, Scan

GRID = Grid(
    shape=(2, 3, 4),
    spacing_mm=(1.1, 0.3, 0.7),
    origin_mm=np.array([1 / 3, -2e-17, 5]),
    direction=np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0],
)
SCAN = Scan(
    echoes=np.random.default_rng(2).normal(size=(2, *GRID.shape)).astype(np.float32),
    grid=GRID,
    sequence=PulseSequence.QDESS,
    echo_times_ms=(5.1, 30.0),
    side=Side.LEFT,
    acquisition=Acquisition(repetition_time_ms=1 / 3, comparable_values=False),
    warnings=("One.", "Two."),
)
LABELS = LabelMap(
    labels=np.arange(24, dtype=np.uint16).reshape(GRID.shape) * 1000,
    grid=GRID,
    names={3: "femur"},
    left_out=((0, 1), (2, 0), (0, 0)),
    warnings=("One.",),
)


def through_json(folder: Path, value: dict[str, object]) -> Any:
    write_verdict(folder, {"ok": True, "value": value})
    return read_verdict(folder)["value"]


def test_a_scan_is_taken_without_loss(tmp_path: Path) -> None:
    found = take_scan(tmp_path, through_json(tmp_path, write_scan(tmp_path, SCAN)))
    assert np.array_equal(found.echoes, SCAN.echoes)
    assert found.grid.to_dict() == GRID.to_dict()
    for name in ("sequence", "echo_times_ms", "side", "acquisition", "warnings", "modality"):
        assert getattr(found, name) == getattr(SCAN, name)
    assert [path.name for path in tmp_path.iterdir()] == [VERDICT]


def test_a_label_map_is_taken_without_loss(tmp_path: Path) -> None:
    found = take_label_map(tmp_path, through_json(tmp_path, write_label_map(tmp_path, LABELS)))
    assert np.array_equal(found.labels, LABELS.labels)
    assert (found.names, found.left_out, found.warnings) == (LABELS.names, LABELS.left_out, LABELS.warnings)


def _set(*path: str | int, to: object) -> Callable[[Any, Path], None]:
    def change(value: Any, _: Path) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to

    return change


def _longer(_: Any, folder: Path) -> None:
    with (folder / ARRAY).open("ab") as stream:
        stream.write(b"0")


def _link(_: Any, folder: Path) -> None:
    (folder / ARRAY).rename(folder / "elsewhere")
    (folder / ARRAY).symlink_to(folder / "elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        _set("echoes", to=3),
        _set("echoes", to=True),
        _set("echoes", to=-2),
        _set("echoes", to=1 << 40),
        _set("grid", "shape", to=[2, 3, "4"]),
        _set("grid", "shape", to=[1 << 33, 1 << 33, 0]),
        _set("grid", "spacing_mm", to=[1, 1, float("nan")]),
        _set("grid", to=None),
        _set("echo_times_ms", to=["<b>", 2]),
        _set("acquisition", "flip_angle_deg", to="<b>"),
        _set("acquisition", "unknown", to=1),
        _set("sequence", to="none of ours"),
        _set("modality", to=["MR"]),
        _set("warnings", to=[1]),
        _set("warnings", to=["x" * 20_000]),
        _longer,
        _link,
        lambda _, folder: (folder / ARRAY).unlink(),
    ],
)
def test_a_scan_of_another_form_is_refused(change: Callable[[Any, Path], None], tmp_path: Path) -> None:
    value = through_json(tmp_path, write_scan(tmp_path, SCAN))
    change(value, tmp_path)
    with pytest.raises(Malformed):
        take_scan(tmp_path, value)


@pytest.mark.parametrize(
    "change",
    [_set("names", to={"three": "femur"}), _set("names", "3", to=4), _set("left_out", 0, to=[0, "1"]), _longer],
)
def test_a_label_map_of_another_form_is_refused(change: Callable[[Any, Path], None], tmp_path: Path) -> None:
    value = through_json(tmp_path, write_label_map(tmp_path, LABELS))
    change(value, tmp_path)
    with pytest.raises(Malformed):
        take_label_map(tmp_path, value)


@pytest.mark.parametrize("content", [None, "", "[1]", '{"ok": tr', json.dumps({"ok": "x" * 600_000})])
def test_a_missing_or_oversized_verdict_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / VERDICT).write_text(content)
    with pytest.raises(Malformed):
        read_verdict(tmp_path)
