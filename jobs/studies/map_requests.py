"""Mean maps of a study: what was asked for, and what was made, in DATA_DIR/studies/<id>/maps/<number>/.

request.json says what is asked; made.json, written last, that the files are there. A worker makes what was asked and
not made. The number is a digest of the request, so that the same request has the same address.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import ResultNotFound, StudyConflict
from jobs.state.backend import open_backend
from jobs.state.queue import queue_errors
from jobs.studies.feeding import Feeder
from jobs.studies.folder import MAPS_MADE, MAPS_REQUEST, StudyFolder
from jobs.studies.journal import Outcome
from jobs.studies.plan import Plan
from jobs.studies.progress import judged
from pipeline.errors import OptionsError
from pipeline.workspace import write_json
from studies.maps.request import ALL, FIGURES, SEX, MapRequest
from studies.order import name_order
from studies.row_state import RowState

if TYPE_CHECKING:
    from studies.maps.groups import Group

MOST_REQUESTS: Final = 50
"""Maps that a study keeps; the oldest is deleted for a new one."""

_NUMBERS: Final = 10**9


@dataclass(frozen=True, kw_only=True)
class MapChoices:
    """figures: name -> title; visits: with results, in their order; columns: column -> its values."""

    figures: dict[str, str]
    visits: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class MapGroup:
    """knees: rows that are used; subjects: persons; maps: bone -> knees that contribute; left_out: number of rows."""

    title: str
    knees: int
    subjects: int
    maps: dict[str, int]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class MapView:
    """What a request has come to. ready: the files are there; outdated: the study has changed since."""

    number: int
    ready: bool = False
    outdated: bool = False
    problem: str = ""
    groups: tuple[MapGroup, ...] = ()
    files: tuple[str, ...] = field(default=())


@queue_errors()
def map_choices(study_id: str) -> MapChoices:
    """What can be mapped. Raises StudyNotFound, StudyConflict before the check has ended."""
    folder, check, plan = judged(open_backend(), study_id)
    outcomes = folder.journal.read().outcomes
    rows = [row.row for row in check.rows if plan.state_of(row.row.number, outcomes)[0] is RowState.COMPLETE]
    values = {
        column: sorted({row.person.sex if column == SEX else row.further.get(column, "") for row in rows} - {""})
        for column in (SEX, *check.further)
    }
    visits = sorted({row.person.visit for row in rows}, key=name_order)
    return MapChoices(
        figures=dict(FIGURES),
        visits=tuple(visits),
        columns={column: tuple(found) for column, found in values.items() if found},
    )


@queue_errors()
def ask_for_maps(study_id: str, request: MapRequest) -> MapView:
    """Ask a worker for maps, unless they were made from the present analyses. Raises OptionsError, StudyConflict."""
    backend = open_backend()
    choices = map_choices(study_id)
    _check(request, choices)
    folder = StudyFolder(backend.settings.data_dir, study_id)
    number = number_of(request)
    view = maps_view(study_id, number) if (folder.maps / str(number) / MAPS_REQUEST).exists() else None
    if view is None or view.outdated or view.problem:
        place = folder.maps / str(number)
        with folder.locked():
            _make_room(folder, number)
            place.mkdir(parents=True, exist_ok=True)
            (place / MAPS_MADE).unlink(missing_ok=True)
            write_json(place / MAPS_REQUEST, asdict(request))
        Feeder(backend).feed_safely()
    return maps_view(study_id, number)


@queue_errors()
def maps_view(study_id: str, number: int) -> MapView:
    """What a request has come to. Raises StudyNotFound, ResultNotFound."""
    folder, _, plan = judged(open_backend(), study_id)
    if request_of(folder, number) is None:
        raise _no_maps()
    try:
        made: dict[str, Any] = json.loads((folder.maps / str(number) / MAPS_MADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return MapView(number=number)
    if made.get("problem"):
        return MapView(number=number, problem=str(made["problem"]))
    return MapView(
        number=number,
        ready=True,
        outdated=made["analyses"] != analyses_of(plan, folder.journal.read().outcomes),
        groups=tuple(MapGroup(**group) for group in made["groups"]),
        files=tuple(made["files"]),
    )


def map_file(study_id: str, number: int, name: str) -> Path:
    """A file of maps that were made. Raises StudyNotFound, ResultNotFound."""
    from studies.maps.names import FILES, SCENE

    folder = StudyFolder(open_backend().settings.data_dir, study_id)
    folder.record()
    path = folder.maps / str(number) / name
    if name not in (*FILES, SCENE) or not path.is_file():
        raise _no_maps()
    return path


def request_of(folder: StudyFolder, number: int) -> MapRequest | None:
    """None if there is none that this version can read."""
    try:
        data = json.loads((folder.maps / str(number) / MAPS_REQUEST).read_text(encoding="utf-8"))
        return MapRequest(**data)
    except (OSError, ValueError, TypeError):
        return None


def note_maps(folder: StudyFolder, number: int, groups: Sequence[Group], analyses: str) -> None:
    """State that the files of a request are there. Raises OSError."""
    from studies.maps.names import FILES

    views = [
        MapGroup(
            title=group.title,
            knees=len(group.rows),
            subjects=group.subjects,
            maps={bone.key: item.knees for bone, item in group.maps.items()},
            left_out=len({item.row for item in group.left_out}),
        )
        for group in groups
    ]
    write_json(
        folder.maps / str(number) / MAPS_MADE,
        {"analyses": analyses, "groups": [asdict(view) for view in views], "files": list(FILES)},
    )


def note_problem(folder: StudyFolder, number: int) -> None:
    """State that maps could not be made, so that nobody tries again by itself. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        write_json(
            folder.maps / str(number) / MAPS_MADE, {"problem": "The maps could not be made. Report it to the operator."}
        )


def number_of(request: MapRequest) -> int:
    """Of a request."""
    return int(hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest(), 16) % _NUMBERS


def analyses_of(plan: Plan, outcomes: Mapping[int, Outcome]) -> str:
    """A digest of the analyses that the rows have."""
    found = sorted((row, outcome.address) for row, outcome in plan.ended(outcomes).items())
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def _check(request: MapRequest, choices: MapChoices) -> None:
    if not choices.visits:
        raise StudyConflict("No row has results yet.", hint="Ask again when the first rows have ended.")
    for option, value, known in (
        ("figure", request.figure, tuple(choices.figures)),
        ("visit", request.visit, choices.visits if len(choices.visits) > 1 else (ALL, *choices.visits)),
        ("column", request.column, (ALL, *choices.columns)),
    ):
        if value not in known:
            raise OptionsError(f"{option}: found {value!r}; expected one of {', '.join(known)}.", option=option)
    values = choices.columns.get(request.column, ())
    for option, value in (("first", request.first), ("second", request.second)):
        wanted = values if request.column and (option == "first" or value) else (ALL,)
        if value not in wanted:
            listed = ", ".join(wanted) or "(none)"
            raise OptionsError(f"{option}: found {value!r}; expected one of {listed}.", option=option)
    if request.second and request.first == request.second:
        raise OptionsError("Both groups are the same; expected two.", option="second")


def _make_room(folder: StudyFolder, number: int) -> None:
    import shutil

    with contextlib.suppress(FileNotFoundError):
        places = [path for path in folder.maps.iterdir() if path.name != str(number)]
        for path in sorted(places, key=lambda path: path.stat().st_mtime)[: max(0, len(places) - MOST_REQUESTS + 1)]:
            shutil.rmtree(path, ignore_errors=True)


def _no_maps() -> ResultNotFound:
    return ResultNotFound("The study has no such maps.", hint="Ask for them with POST /studies/{id}/maps.")
