"""The tidy rows as tables for people. Knows no Streamlit: rows in, data frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from pipeline.anatomy import ALL, FEMORAL_PLATE, PATELLAR_PLATE, PLATES, REGIONS, TIBIAL_PLATE, Structure
from pipeline.segmentation.confidence import title_of
from ui.parts import wording

Rows = Sequence[Mapping[str, Any]]

PRIMARY_METHOD: Final = "union"
TIDY_COLUMNS: Final = ("quantity", "method", "structure", "region", "statistic", "value", "unit", "n")
ACCURACY_TITLES: Final = {
    "dice_sd": "Dice SD",
    "dice_worst": "Worst Dice",
    "mean_surface_distance_mm": "Mean distance (mm)",
    "hausdorff95_mm": "95 % Hausdorff (mm)",
    "volume_bias_percent": "Volume bias (%)",
}
T2_COLUMNS: Final = {
    "Median": ("T2", "median"),
    "SD": ("T2", "std"),
    "Deep": ("T2_deep", "median"),
    "Superficial": ("T2_superficial", "median"),
}
HEADLINES: Final = (
    ("Femur", FEMORAL_PLATE, ALL),
    ("Medial tibia", TIBIAL_PLATE, "medial"),
    ("Lateral tibia", TIBIAL_PLATE, "lateral"),
    ("Patella", PATELLAR_PLATE, ALL),
)


def value_of(rows: Rows, quantity: str, method: str, structure: str, region: str, statistic: str) -> float | None:
    """The value of the one row with these keys; None where there is none or it holds nothing."""
    wanted = (quantity, method, structure, region, statistic)
    for row in rows:
        if (row["quantity"], row["method"], row["structure"], row["region"], row["statistic"]) == wanted:
            value = row["value"]
            return None if value is None or value != value else float(value)
    return None


def headline_thickness(rows: Rows) -> list[tuple[str, float | None]]:
    """Mean cartilage thickness (mm) of the four plates that a reader asks for first."""
    return [(title, _thickness(rows, plate, region, "mean")) for title, plate, region in HEADLINES]


def thickness_by_region(rows: Rows) -> pd.DataFrame:
    """One line a region: name, mean and SD (mm), ThCtAB (mm), tAB (mm²), dAB (%); the whole plate before its parts."""
    lines = []
    for plate, region in _plates_and_regions():
        line = {
            "Region": region_title(plate, region),
            "Mean": _thickness(rows, plate, region, "mean"),
            "SD": _thickness(rows, plate, region, "std"),
            "Over all bone": value_of(rows, "ThCtAB", PRIMARY_METHOD, plate, region, "mean"),
            "Bone area": _of_unit(rows, "tAB", plate, region, "mm²", "mm2"),
            "Denuded": _of_unit(rows, "dAB", plate, region, "%"),
        }
        lines.append(line)
    frame = pd.DataFrame(lines)
    return frame[frame[["Mean", "Denuded"]].notna().any(axis=1)].reset_index(drop=True)


def t2_by_region(rows: Rows) -> pd.DataFrame:
    """One line a region: median, SD and the medians of both layers (ms); empty where T2 was not measured."""
    found = {
        (row["structure"], row["region"], row["quantity"], row["statistic"]): row["value"]
        for row in rows
        if row["unit"] == "ms"
    }
    lines = [
        {"Region": region_title(plate, region)}
        | {title: found.get((plate, region, *key)) for title, key in T2_COLUMNS.items()}
        for plate, region in _plates_and_regions()
    ]
    frame = pd.DataFrame(lines)
    return frame[frame["Median"].notna()].reset_index(drop=True)


def accuracy(figures: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    """A model card's measured accuracy: one line a structure; figures that nobody measured are left out."""
    frame = pd.DataFrame([{"Structure": wording.name(name), **values} for name, values in figures.items()])
    frame = frame.dropna(axis="columns", how="all")
    return frame.rename(columns={key: ACCURACY_TITLES.get(key, wording.name(key)) for key in frame.columns})


def confidence(probability: Mapping[str, float], entropy_bits: Mapping[str, float]) -> pd.DataFrame:
    """One line a structure: what results.json says of the network's own confidence (older results hold no entropy)."""
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


def repeatability(regions: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """One line a region of a model's reproducibility.json, the whole plate before its parts."""
    lines = [
        {
            "Region": region_title(plate, region),
            "CV": row.get("cv_percent"),
            "SDC": row.get("sdc_mm"),
            "Mean": row.get("mean_mm"),
        }
        for plate, region in _plates_and_regions()
        if (row := regions.get(f"{plate}/{region}")) is not None
    ]
    return pd.DataFrame(lines)


def thickness_errors(regions: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """A model card's errors of regional thickness: one line a region, the whole plate before its parts."""
    lines = [
        {
            "Region": region_title(plate, region),
            "Bias (mm)": row["bias_mm"],
            "RMSE (mm)": row["rmse_mm"],
            "Maps": row["knees"],
        }
        for plate, region in _plates_and_regions()
        if (row := regions.get(f"{plate}/{region}")) is not None
    ]
    return pd.DataFrame(lines)


COMPARED: Final = {
    "ThC_matched": "Same points",
    "ThC": "ThC",
    "ThCtAB": "ThCtAB",
    "tAB": "Bone area",
    "dAB": "Denuded",
    "volume": "Volume",
}
"""Quantities of a comparison, and what their tables are called."""


def changes(rows: Rows, quantity: str) -> pd.DataFrame:
    """One line a region of a comparison's rows of one quantity; first the whole plate, then its parts."""
    found = {(row["structure"], row["region"]): row for row in rows if row["quantity"] == quantity}
    lines = [
        {
            "Region": region_title(plate, region),
            "First": row["a"],
            "Second": row["b"],
            "Change": row["change"],
            "Percent": row["change_percent"],
            "SDC": row["sdc"],
            "Verdict": row["verdict"].capitalize(),
            "Registration": row["registration_error"],
            "Compared": row["compared_percent"],
        }
        for plate, region in _plates_and_regions()
        if (row := found.get((plate, region))) is not None and (row["a"] is not None or row["b"] is not None)
    ]
    return pd.DataFrame(lines)


def tidy(rows: Rows) -> pd.DataFrame:
    """All rows with the columns of results.csv."""
    return pd.DataFrame([dict(row) for row in rows], columns=list(TIDY_COLUMNS))


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows as people read them: names instead of keys, mm² instead of mm2."""
    shown = frame.assign(
        structure=frame["structure"].map(wording.name),
        region=frame["region"].map(wording.name),
        unit=frame["unit"].replace({"mm2": "mm²", "mm3": "mm³"}),
    )
    return shown.rename(columns={name: wording.name(name) for name in TIDY_COLUMNS if name != "n"})


def region_title(plate: str, region: str) -> str:
    """`Femur, medial posterior`; the plate's bone alone stands for the whole plate."""
    bone = next(structure.title for structure, name in PLATES.items() if name == plate)
    return f"{bone}, whole plate" if region == ALL else f"{bone}, {region.replace('_', ' ')}"


def _plates_and_regions() -> list[tuple[str, str]]:
    order = []
    for plate in (FEMORAL_PLATE, TIBIAL_PLATE, PATELLAR_PLATE):
        parts = [region.name for region in REGIONS if region.plate == plate and region.name != ALL]
        order += [(plate, name) for name in (ALL, *parts)]
    return order


def _thickness(rows: Rows, plate: str, region: str, statistic: str) -> float | None:
    return value_of(rows, "ThC", PRIMARY_METHOD, plate, region, statistic)


def _of_unit(rows: Rows, quantity: str, plate: str, region: str, *units: str) -> float | None:
    """An area under whichever statistic carries it in this unit."""
    wanted = (quantity, PRIMARY_METHOD, plate, region)
    for row in rows:
        same = (row["quantity"], row["method"], row["structure"], row["region"]) == wanted
        if same and row["unit"] in units and row["value"] is not None:
            return float(row["value"])
    return None
