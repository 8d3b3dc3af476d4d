"""A header that is turned: the knee fits the reference knee in another orientation than the header states.

The other orientations are tried on the bones that were found; the best is offered, never applied without being asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar, get_args

import numpy as np

from pipeline.anatomy import Structure
from pipeline.errors import TurnedKnee
from pipeline.grid import axes_of
from pipeline.one_knee import WELL_MM, Bone, knees_of
from pipeline.options import AS_STATED, TurnChoice
from pipeline.types import LabelMap, Scan

_WORDS: Final = {"LAI": "upside down and back to front", "RPI": "upside down", "RAS": "back to front"}


def _kept(code: str) -> int:
    """Number of axes that a turn leaves on their line."""
    return int(np.abs(np.diag(axes_of(code))).sum())


TURNS: Final[tuple[str, ...]] = tuple(
    sorted((code for code in get_args(TurnChoice) if code not in ("", AS_STATED)), key=_kept, reverse=True)
)
"""The axis codes of all turns by multiples of 90 degrees: half turns about one axis first."""

COMMON_TURNS: Final = tuple(
    code for code in TURNS if _kept(code) == 3 or (_kept(code) == 1 and np.trace(axes_of(code)) == 1)
)
"""Half and quarter turns about one axis."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """code: an axis code, see AnalysisOptions.turn; residual_mm: of the femur, in the coarse fit."""

    code: str
    residual_mm: float


T = TypeVar("T", Scan, LabelMap)


def turned(image: T, code: str) -> T:
    """The image with its grid turned as the user has chosen; the same object if the header is right."""
    return image if code in ("", AS_STATED) else replace(image, grid=image.grid.turned(code))


def turn_warnings(code: str) -> tuple[str, ...]:
    """For a result that was turned."""
    if code in ("", AS_STATED):
        return ()
    return (f"The orientation in the header was turned as chosen (turn = {code}). Check the side.",)


def fitting_turn(bones: Mapping[Structure, Bone], codes: Iterable[str] = TURNS) -> Turn | None:
    """The turn in which the bones fit the reference knee best; None if they fit well in none of them."""
    found = []
    for code in codes:
        fits = [knee.pose.residual_mm for knee in knees_of(_turned(bones, code)) if knee.whole]
        found += [Turn(code=code, residual_mm=fit) for fit in fits if fit <= WELL_MM]
    return min(found, key=lambda turn: turn.residual_mm, default=None)


def refuse_turned(bones: Mapping[Structure, Bone]) -> None:
    """Raise TurnedKnee if bones that do not fit the reference knee fit it well after a turn."""
    turn = fitting_turn(bones)
    if turn is not None:
        raise turned_knee(turn)


def turned_knee(turn: Turn) -> TurnedKnee:
    """The error that offers a turn."""
    return TurnedKnee(
        f"The knee looks {_WORDS.get(turn.code, 'turned')}. In the orientation that the header states, femur and tibia "
        f"do not fit the reference knee; turned, they fit to {turn.residual_mm:.1f} mm.",
        hint=f"Analyse it turned with the option turn = {turn.code} (what the header calls L, P, S is then "
        f"{', '.join(turn.code)}), or correct the header. turn = {AS_STATED} analyses it as the header states. A "
        "header that is turned may also be mirrored: check the side.",
        turn=turn.code,
    )


def _turned(bones: Mapping[Structure, Bone], code: str) -> dict[Structure, Bone]:
    turn = axes_of(code)
    return {
        structure: replace(
            bone,
            candidates=tuple(
                replace(part, centre_mm=turn @ part.centre_mm, points_mm=part.points_mm @ turn.T)
                for part in bone.candidates
            ),
        )
        for structure, bone in bones.items()
    }
