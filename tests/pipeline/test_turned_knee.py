"""A header that is turned: the right orientation is offered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TurnedKnee
from pipeline.grid import axes_of
from pipeline.image_io import read_scan
from pipeline.one_knee import bones_of, one_knee
from pipeline.options import AS_STATED
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.segmentation.turned_scan import refuse_turned_scan
from pipeline.turned_knee import COMMON_TURNS, TURNS, fitting_turn, refuse_turned
from pipeline.types import Resources, Segmentation
from tests.support.browser import SAMPLE
from tests.support.knees import mirrored, turned_knee


def with_turned_header(knee: Segmentation, code: str) -> Segmentation:
    return Segmentation(labels=knee.labels, grid=knee.grid.turned(code), model_id="turned header")


def inverse(code: str) -> str:
    """The turn that takes a turn back."""
    return next(other for other in TURNS if np.array_equal(axes_of(other) @ axes_of(code), np.eye(3)))


def test_there_are_23_turns_of_which_nine_are_common() -> None:
    assert len(set(TURNS)) == 23
    assert all(np.linalg.det(axes_of(code)) > 0 for code in TURNS)
    assert TURNS[:3] == ("LAI", "RPI", "RAS")
    assert len(COMMON_TURNS) == 9
    assert AS_STATED not in TURNS


def test_a_turned_grid_moves_every_point_as_its_code_says() -> None:
    grid = turned_knee().grid
    points = grid.to_mm([[3, 5, 7], [0, 0, 0]])
    assert np.allclose(grid.turned("RPI").to_mm([[3, 5, 7], [0, 0, 0]]), points * [-1, 1, -1])
    assert np.allclose(grid.turned("PIR").turned(inverse("PIR")).affine, grid.affine)
    with pytest.raises(ValueError, match="mirrors"):
        grid.turned("RPS")


@pytest.mark.parametrize(
    ("side", "code"), [("right", "LAI"), ("left", "RPI"), ("right", "RAS"), ("right", "LIP"), ("left", "PIR")]
)
def test_the_right_turn_fits_and_others_do_not(side: str, code: str) -> None:
    knee = turned_knee() if side == "right" else mirrored(turned_knee())
    right = inverse(code)
    others = [other for other in ("RPI", "RSP", AS_STATED) if other != right]
    bones = bones_of(with_turned_header(knee, code))
    assert fitting_turn(bones, others) is None
    found = fitting_turn(bones, [right])
    assert found is not None
    assert found.residual_mm < 1.5


@pytest.mark.slow
def test_a_knee_with_a_turned_header_is_refused_with_the_turn_that_fits() -> None:
    knee = with_turned_header(turned_knee(), "RPI")
    with pytest.raises(TurnedKnee, match="looks upside down") as refused:
        one_knee(knee, on_no_knee=refuse_turned)
    assert refused.value.offers == {"turn": ["RPI"]}
    assert "turn = RPI" in refused.value.hint
    asked = with_turned_header(knee, "RPI")
    assert one_knee(asked, on_no_knee=refuse_turned) is asked


def test_a_knee_as_stated_is_not_checked_further() -> None:
    def fail(_: object) -> None:
        pytest.fail("checked")

    for knee in (turned_knee(), mirrored(turned_knee())):
        assert one_knee(knee, on_no_knee=fail) is knee


def test_a_ball_fits_in_no_orientation() -> None:
    knee = turned_knee()
    grid = np.indices(knee.labels.shape) - np.array(knee.labels.shape)[:, None, None, None] / 2
    ball = replace(knee, labels=(np.linalg.norm(grid, axis=0) < 30).astype(np.uint8))
    assert fitting_turn(bones_of(ball), ("LAI", "PIR")) is None


@pytest.mark.slow
def test_a_scan_with_a_turned_header_is_refused_with_the_turn_that_fits() -> None:
    """The network takes the femur of an upside-down knee for its tibia; in the right orientation it does not."""
    scan = read_scan(Path(SAMPLE))
    upside_down = replace(scan, grid=scan.grid.turned("LAI"))
    with pytest.raises(TurnedKnee) as refused:
        refuse_turned_scan(knee_unet(), upside_down, Resources(), {})
    assert refused.value.facts["turn"] == "LAI"
