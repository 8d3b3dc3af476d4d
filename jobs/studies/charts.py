"""Figures of a study for charts, read from its tables."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.errors import ResultNotFound
from jobs.state.backend import open_backend
from jobs.state.queue import queue_errors
from jobs.studies.folder import StudyFolder
from jobs.studies.progress import judged
from pipeline.anatomy import place_order
from pipeline.flags import Use
from pipeline.quantities import QUANTITIES, Method
from studies.order import name_order
from studies.tables.names import MEASUREMENTS_PARQUET

if TYPE_CHECKING:
    import pandas as pd

Figure = tuple[str, str, str]
"""Quantity, structure and region."""


@dataclass(frozen=True, kw_only=True)
class ChartChoices:
    """figures: those with values, in the order of the tables; groups: columns of the manifest."""

    figures: tuple[Figure, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ChartValue:
    """One knee at one visit."""

    subject: str
    side: str
    visit: str
    years: float | None
    group: str
    value: float


@queue_errors()
def chart_choices(study_id: str) -> ChartChoices:
    """What can be shown. Raises StudyNotFound, StudyConflict; ResultNotFound before tables were written."""
    folder, check, _ = judged(open_backend(), study_id)
    table = _read(folder, ["quantity", "structure", "region", "method", "statistic", "value"], [])
    some = _main(table).drop_duplicates(["quantity", "structure", "region"])
    found = [(str(a), str(b), str(c)) for a, b, c in zip(some.quantity, some.structure, some.region, strict=True)]
    order = list(QUANTITIES)
    return ChartChoices(
        figures=tuple(sorted(found, key=lambda item: (order.index(item[0]), place_order(item[1], item[2])))),
        groups=("sex", *check.further),
    )


@queue_errors()
def chart_values(study_id: str, figure: Figure, group: str = "") -> list[ChartValue]:
    """The values of a figure that may be used, in the order of the visits of each knee. group: a column; empty: none.

    Raises as `chart_choices`.
    """
    folder, check, _ = judged(open_backend(), study_id)
    names = ("quantity", "structure", "region")
    table = _read(folder, None, [(name, "==", value) for name, value in zip(names, figure, strict=True)])
    groups = {
        row.row.number: row.row.person.sex if group == "sex" else row.row.further.get(group, "") for row in check.rows
    }
    some = _main(table)
    some = some[some["use"] != Use.NO.value]
    lines: list[dict[Hashable, Any]] = some[["row", "subject", "side", "visit", "years", "value"]].to_dict("records")
    found = [
        ChartValue(
            subject=str(line["subject"]),
            side=str(line["side"]),
            visit=str(line["visit"]),
            years=None if math.isnan(line["years"]) else float(line["years"]),
            group=(groups.get(int(line["row"]), "") or "not stated") if group else "",
            value=float(line["value"]),
        )
        for line in lines
    ]
    return sorted(found, key=lambda item: (item.subject, item.side, item.years or 0.0, name_order(item.visit)))


def _read(folder: StudyFolder, columns: list[str] | None, filters: list[tuple[str, str, str]]) -> pd.DataFrame:
    import pandas as pd

    path: Path = folder.tables / MEASUREMENTS_PARQUET
    if not path.is_file():
        raise ResultNotFound("The study has no tables yet.", hint="They are written when the first rows have ended.")
    read: Any = pd.read_parquet(path, columns=columns, filters=filters or None)  # Any: pandas has no types here
    return read  # type: ignore[no-any-return]


def _main(table: pd.DataFrame) -> pd.DataFrame:
    """The main statistic of each figure by its main method, where it was measured."""
    mains = {quantity.id: str(quantity.main) for quantity in QUANTITIES.values()}
    statistic = table["quantity"].astype(str).map(mains)
    other = table["method"] == Method.TWO_CROSSING.value  # beside PRIMARY, for the same quantities
    return table[(table["statistic"].astype(str) == statistic) & ~other & table["value"].notna()]
