"""The tidy rows as tables for people. Knows no Streamlit: rows in, data frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from pipeline.anatomy import (
    PLACES,
    REGION_SCHEME,
    TABLE_ORDER,
    Place,
    Region,
    Scheme,
    Structure,
    place_order,
    place_title,
)
from pipeline.comparison.published_repeatability import PUBLISHED
from pipeline.flags import Use
from pipeline.quantities import (
    DAB,
    DISTRIBUTION,
    HEADLINES,
    PRIMARY,
    QUANTITIES,
    TAB,
    THC,
    THC_TAB,
    THICKNESSES,
    Method,
    Quantity,
    Statistic,
    Unit,
)
from pipeline.relaxation import RELAXATION_LAYERS, Relaxation
from pipeline.report.tables import CSV_COLUMNS
from pipeline.segmentation.confidence import title_of
from ui.parts import wording

Rows = Sequence[Mapping[str, Any]]
Columns = Mapping[str, tuple[Quantity, Statistic]]
"""Head of a column -> what it shows."""

ACCURACY_TITLES: Final = {
    "dice_sd": "Dice SD",
    "dice_worst": "Worst Dice",
    "mean_surface_distance_mm": "Mean distance (mm)",
    "hausdorff95_mm": "95 % Hausdorff (mm)",
    "volume_bias_percent": "Volume bias (%)",
}
THICKNESS_COLUMNS: Final = {
    "Mean": (THC, Statistic.MEAN),
    "SD": (THC, Statistic.STD),
    "Uncertainty": (THC, Statistic.UNCERTAINTY),
    "Over all bone": (THC_TAB, Statistic.MEAN),
    "Bone area": (TAB, Statistic.TOTAL),
    "Denuded": (DAB, Statistic.SHARE),
}
DISTRIBUTION_COLUMNS: Final = {quantity.short: (quantity, quantity.main) for quantity in DISTRIBUTION}


def value_of(
    rows: Rows, quantity: Quantity, region: Place, statistic: Statistic | None = None, method: Method | None = PRIMARY
) -> float | None:
    """The quantity's main statistic, or another one; None where there is no such row or it holds nothing.

    method None: whichever there is (T2 has one method per scan).
    """
    wanted = (quantity.id, region.plate, region.name, statistic or quantity.main)
    for row in rows:
        same = (row["quantity"], row["structure"], row["region"], row["statistic"]) == wanted
        if same and method in (None, row["method"]):
            value = row["value"]
            return None if value is None or value != value else float(value)
    return None


def use_of(rows: Rows, quantity: Quantity, region: Place) -> Use:
    """Whether this number of this region may be used; yes where there is no such row."""
    place = (quantity.id, region.plate, region.name)
    return next(
        (Use(row["use"]) for row in rows if (row["quantity"], row["structure"], row["region"]) == place), Use.YES
    )


def headlines(
    rows: Rows, quantity: Quantity, method: Method | None = PRIMARY
) -> list[tuple[str, Region, float | None]]:
    """The quantity's main statistic for the places that a reader asks for first."""
    return [(title, region, value_of(rows, quantity, region, None, method)) for title, region in HEADLINES]


def thickness_by_region(rows: Rows, scheme: Scheme = REGION_SCHEME) -> pd.DataFrame:
    """One line per region of a scheme: mean, SD and uncertainty (mm), ThCtAB (mm), tAB (mm²), dAB (%), use; the whole
    plate before its parts. Without the uncertainty where it is not known for any region.
    """
    frame = _by_region(rows, THICKNESS_COLUMNS, PRIMARY, scheme)
    found = frame[frame[["Mean", "Over all bone", "Denuded"]].notna().any(axis=1)].reset_index(drop=True)
    return found if found["Uncertainty"].notna().any() else found.drop(columns="Uncertainty")


def distribution_by_region(rows: Rows, scheme: Scheme = REGION_SCHEME) -> pd.DataFrame:
    """One line per region of a scheme: how its cartilage is distributed; without quantities that none of them has."""
    frame = _by_region(rows, DISTRIBUTION_COLUMNS, None, scheme)
    names = [name for name in DISTRIBUTION_COLUMNS if frame[name].notna().any()]
    found = frame[frame[names].notna().any(axis=1)] if names else frame[:0]
    return found[["Region", "Use", *names]].reset_index(drop=True)


def schemes_in(
    rows: Rows, schemes: Sequence[Scheme], quantity: Quantity = THC, method: Method | None = PRIMARY
) -> list[Scheme]:
    """The schemes of which an analysis has a quantity, thickness or another one, in a region that only they have."""
    return [
        scheme
        for scheme in schemes
        if any(value_of(rows, quantity, region, None, method) is not None for region in scheme.regions)
    ]


def relaxation_columns(relaxation: Relaxation) -> Columns:
    """The columns of relaxation_by_region."""
    return {
        "Median": (relaxation.whole, Statistic.MEDIAN),
        "SD": (relaxation.whole, Statistic.STD),
        "Deep": (relaxation.deep, Statistic.MEDIAN),
        "Superficial": (relaxation.superficial, Statistic.MEDIAN),
        "Excluded (%)": (relaxation.excluded, Statistic.SHARE),
    }


def relaxation_by_region(rows: Rows, relaxation: Relaxation, scheme: Scheme = REGION_SCHEME) -> pd.DataFrame:
    """One line per region: median, SD and medians of both layers (ms), excluded voxels (%), use; empty where this
    relaxation time was not measured.
    """
    frame = _by_region(rows, relaxation_columns(relaxation), None, scheme)
    return frame[frame["Median"].notna()].reset_index(drop=True)


def _by_region(rows: Rows, columns: Columns, method: Method | None, scheme: Scheme) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"Region": region.short, "Use": _use_in_words(rows, columns, region)}
            | {title: value_of(rows, what, region, which, method) for title, (what, which) in columns.items()}
            for region in scheme.shown
        ]
    )


def _use_in_words(rows: Rows, columns: Columns, region: Place) -> str:
    """The use of the first column's quantity, and what must not be used in this region alone: `yes; no: Bone area`."""
    uses = {title: use_of(rows, quantity, region) for title, (quantity, _) in columns.items()}
    main = next(iter(uses.values()))
    partly = {row["quantity"] for row in rows if row["use"] != Use.NO}
    others = [title for title, use in uses.items() if use is Use.NO is not main and columns[title][0].id in partly]
    return f"{main}; {Use.NO}: {', '.join(others)}" if others else main.value


def excluded(rows: Rows, frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Which cells of a table of regions must not be used: the shape of `frame`, True for those."""
    regions = {region.short: region for region in PLACES.values()}
    cells = {
        title: [use_of(rows, quantity, regions[name]) is Use.NO for name in frame["Region"]]
        for title, (quantity, _) in columns.items()
        if title in frame.columns
    }
    return pd.DataFrame(cells, index=frame.index).reindex(columns=frame.columns, fill_value=False)


def in_scheme(rows: Rows, scheme: Scheme) -> Rows:
    """The rows of the places that a scheme shows, and of other structures than plates."""
    shown = {(str(place.plate), place.name) for place in scheme.shown}
    places = [(row["structure"], row["region"]) for row in rows]
    return [row for row, place in zip(rows, places, strict=True) if place in shown or place not in PLACES]


def other_quantities(rows: Rows) -> list[tuple[Quantity, pd.DataFrame]]:
    """Quantities without a separate table: one row per region, one column per statistic."""
    own = {quantity.id for quantity in (*THICKNESSES, *RELAXATION_LAYERS)}
    of_plates = {quantity.id for quantity in DISTRIBUTION}
    tables = []
    for quantity in QUANTITIES.values():
        found = [row for row in rows if row["quantity"] == quantity.id and row["value"] is not None]
        if quantity.id in of_plates:
            found = [row for row in found if (row["structure"], row["region"]) not in PLACES]
        if found and quantity.id not in own:
            tables.append((quantity, _by_place(quantity, found)))
    return tables


def _by_place(quantity: Quantity, rows: Rows) -> pd.DataFrame:
    places = sorted({(row["structure"], row["region"]) for row in rows}, key=lambda place: place_order(*place))
    values = {(row["structure"], row["region"], row["statistic"]): row["value"] for row in rows}
    uses = {(row["structure"], row["region"]): row["use"] for row in rows}
    return pd.DataFrame(
        [
            {"Place": place_title(*place), "Use": uses[place]}
            | {wording.name(statistic): values.get((*place, statistic)) for statistic in quantity.statistics}
            for place in places
        ]
    )


def excluded_lines(frame: pd.DataFrame) -> pd.DataFrame:
    """The shape of a table whose column `Use` holds for whole lines, True in lines that must not be used."""
    out = (frame["Use"] == Use.NO).to_numpy()
    return pd.DataFrame(dict.fromkeys(frame.columns, out), index=frame.index)


def accuracy(figures: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    """A model card's measured accuracy: one row per structure; missing figures are left out."""
    frame = pd.DataFrame([{"Structure": wording.name(name), **values} for name, values in figures.items()])
    frame = frame.dropna(axis="columns", how="all")
    return frame.rename(columns={key: ACCURACY_TITLES.get(key, wording.name(key)) for key in frame.columns})


def confidence(probability: Mapping[str, float], entropy_bits: Mapping[str, float]) -> pd.DataFrame:
    """One row per structure: the network's confidence in results.json (older results have no entropy)."""
    known = {key: Structure[key.upper()] for key in probability}
    lines = [
        {
            "Structure": title_of(structure, known.values()),
            "Probability": probability[key],
            "Entropy": entropy_bits.get(key),
        }
        for key, structure in known.items()
    ]
    return pd.DataFrame(lines).dropna(axis="columns", how="all")


def repeatability(regions: Mapping[str, Mapping[str, object]], scheme: Scheme = REGION_SCHEME) -> pd.DataFrame:
    """One line per place of a scheme that a model's reproducibility.json lists, the whole before its parts."""
    lines = [
        {
            "Region": region.short,
            "CV": row.get("cv_percent"),
            "SDC": row.get("sdc_mm"),
            "Mean": row.get("mean_mm"),
        }
        for region in scheme.shown
        if (row := regions.get(region.key)) is not None
    ]
    return pd.DataFrame(lines)


def published_repeatability() -> pd.DataFrame:
    """What studies found when knees were measured again."""
    return pd.DataFrame(
        [{"Outlines and scans": row.measured, "Found": row.figure, "Source": row.source} for row in PUBLISHED]
    )


def thickness_errors(regions: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """A model card's errors of regional thickness: one line per region, the whole plate before its parts."""
    lines = [
        {
            "Region": region.short,
            "Bias (mm)": row["bias_mm"],
            "RMSE (mm)": row["rmse_mm"],
            "Maps": row["knees"],
        }
        for region in TABLE_ORDER
        if (row := regions.get(region.key)) is not None
    ]
    return pd.DataFrame(lines)


def compared(rows: Rows) -> list[Quantity]:
    """The quantities that a comparison has values of, in the order of QUANTITIES."""
    return [quantity for quantity in QUANTITIES.values() if not changes(rows, quantity).empty]


def changes(rows: Rows, quantity: Quantity) -> pd.DataFrame:
    """One line per place of a comparison's rows of one quantity; first the whole plate, then its parts."""
    found = [row for row in rows if row["quantity"] == quantity.id and not (row["a"] is None and row["b"] is None)]
    lines = [
        {
            "Region": place_title(row["structure"], row["region"]),
            "Use": row["use"],
            "First": row["a"],
            "Second": row["b"],
            "Change": row["change"],
            "Percent": row["change_percent"],
            "SDC": row["sdc"],
            "Verdict": row["verdict"].capitalize(),
            "Registration": row["registration_error"],
            "Compared": row["compared_percent"],
        }
        for row in sorted(found, key=lambda row: place_order(row["structure"], row["region"]))
    ]
    return pd.DataFrame(lines)


def tidy(rows: Rows) -> pd.DataFrame:
    """All rows with the columns of results.csv."""
    return pd.DataFrame([dict(row) for row in rows], columns=list(CSV_COLUMNS))


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows as people read them: names instead of keys, mm² instead of mm2."""
    shown = frame.assign(
        structure=frame["structure"].map(wording.name),
        region=frame["region"].map(wording.name),
        unit=frame["unit"].replace({unit.value: unit.symbol for unit in Unit}),
    )
    return shown.rename(columns={name: wording.name(name) for name in CSV_COLUMNS if name != "n"})
