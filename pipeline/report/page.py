"""The report: one self-contained page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import Template
from markupsafe import Markup

from pipeline import results_tree
from pipeline.anatomy import COMPARTMENT_PAIRS, PLATE_ON, SCHEMES, TABLE_ORDER, Scheme, Structure, pair_title
from pipeline.flags import Use
from pipeline.options import AnalysisOptions
from pipeline.quantities import DAB, HEADLINES, MENISCUS_EXTRUSION, SECOND, TAB, THC, THC_TAB, VOLUME, Statistic
from pipeline.report.charts import (
    Bar,
    Distribution,
    Pair,
    compartments_chart,
    distribution_chart,
    regions_chart,
)
from pipeline.report.colours import BONE, css
from pipeline.report.meshes import BoneMap
from pipeline.report.page_tables import (
    Lookup,
    confidence_rows,
    distribution_tables,
    measured,
    number,
    other_tables,
    plate_tables,
    region_row,
    words,
)
from pipeline.report.templates import compiled
from pipeline.results_tree import EXTRUSION_PICTURE, FLAT_MAPS_PICTURE, OVERLAY, REPORT, SURFACES_PICTURE
from pipeline.segmentation.identity import DIGEST_KEYS
from pipeline.types import AnalysisResult
from pipeline.uses import Uses

TEMPLATE: Final = "report.html.jinja"

CARD_KEYS: Final = (
    "title",
    "description",
    "scope",
    "training_data",
    "measured_on",
    "caution",
    "licence",
    "citation",
    *DIGEST_KEYS.values(),
)
"""Facts about a model on the page, if its card has them (a label map has no card)."""

HOST_TITLES: Final = {"cpu_count": "CPU cores", "python": "Python"}


def region_charts(lookup: Lookup, uses: Uses) -> list[tuple[Scheme, Markup]]:
    """One chart of mean thickness for each scheme of regions that was measured."""
    found = []
    for scheme in SCHEMES:
        bars = [
            Bar(
                title=region.brief,
                colour=css(region.colour),
                mean=lookup.value(THC, region),
                std=lookup.value(THC, region, Statistic.STD),
                other=lookup.value(THC, region, method=SECOND),
                uncertainty=lookup.value(THC, region, Statistic.UNCERTAINTY),
                usable=uses.usable(THC, region),
            )
            for region in scheme.numbered
        ]
        if any(np.isfinite(bar.mean) for bar in bars):
            found.append((scheme, regions_chart(bars)))
    return found


def charts(lookup: Lookup, bones: Sequence[BoneMap], uses: Uses) -> dict[str, Markup]:
    """Compartments against each other, and the distribution over each plate."""
    pairs = [
        Pair(
            title=pair_title(medial),
            medial=lookup.value(THC, medial),
            lateral=lookup.value(THC, lateral),
            usable=uses.usable(THC, medial) and uses.usable(THC, lateral),
        )
        for medial, lateral in COMPARTMENT_PAIRS
    ]
    plates = []
    for bone in bones:
        inside = np.isfinite(bone.thickness_mm) & (bone.region > 0)
        if inside.any():
            plates.append(
                Distribution(
                    title=PLATE_ON[bone.surface.structure].display_name,
                    thickness_mm=bone.thickness_mm[inside],
                    area_mm2=bone.surface.vertex_areas_mm2[inside],
                    usable=uses.usable(THC, PLATE_ON[bone.surface.structure].whole),
                )
            )
    return {
        "compartments": compartments_chart(pairs),
        "distribution": distribution_chart(plates),
    }


def accuracy_table(model: Mapping[str, object]) -> dict[str, object] | None:
    """The card's figures: one row per structure, one column per measure; None if the card has none."""
    accuracy = model.get("accuracy")
    if not isinstance(accuracy, Mapping) or not accuracy:
        return None
    figures = {name: value if isinstance(value, Mapping) else {"value": value} for name, value in accuracy.items()}
    columns = dict.fromkeys(key for row in figures.values() for key, value in row.items() if value is not None)
    rows = [(words(name), [row.get(column) for column in columns]) for name, row in figures.items()]
    return {"columns": [words(column) for column in columns], "rows": rows}


def option_rows(options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Options with the titles of the form."""
    titles = {item.name: str(item.metadata["title"]) for item in fields(AnalysisOptions)}
    shown = {True: "yes", False: "no"}
    return [
        (titles.get(name, words(name)), shown[value] if isinstance(value, bool) else str(value))
        for name, value in options.items()
    ]


def software_rows(result: AnalysisResult) -> list[tuple[str, str]]:
    """Software: facts about the machine, then the packages."""
    host = [(HOST_TITLES.get(name, words(name)), str(value)) for name, value in result.provenance.host.items()]
    program = [(f"Kneebox {words(name)}", value) for name, value in result.provenance.program.items()]
    return program + host + [(name, value) for name, value in result.provenance.packages.items() if name != "kneebox"]


_FORMATS: Final = {".png": "png", ".jpg": "jpeg"}


def data_uri(path: Path) -> str:
    """A PNG or JPEG as the value of an `src`."""
    return f"data:image/{_FORMATS[path.suffix]};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


@cache
def page_template() -> Template:
    """Compiled once per process: this takes 0.2 s."""
    return compiled(Path(__file__).with_name(TEMPLATE), number=number, words=words)


def write_page(result: AnalysisResult, bones: Sequence[BoneMap], files_dir: Path) -> None:
    """The report with the embedded pictures, which must already exist.

    The name of the input is omitted, because it may be that of a patient.
    """
    lookup, uses = Lookup(result.measurements), Uses(flags=result.flags)
    slowest = max((step.seconds or 0.0 for step in result.steps), default=0.0)
    page = page_template().render(
        result=result,
        grid=result.segmentation.grid,
        confidence=confidence_rows(result.segmentation),
        found=[s.title for s in Structure if (result.segmentation.labels == s).any()],
        thc=THC,
        thctab=THC_TAB,
        tab=TAB,
        dab=DAB,
        volume=VOLUME,
        second=SECOND,
        measured=measured(result.measurements),
        headlines=[(title, region_row(lookup, region), uses.note(THC, region)) for title, region in HEADLINES],
        causes=uses.summaries(),
        ban=uses.ban(THC, TABLE_ORDER),
        tables=plate_tables(lookup, uses),
        others=other_tables(result.measurements, uses),
        charts=charts(lookup, bones, uses),
        by_region=region_charts(lookup, uses),
        distributions=distribution_tables(lookup, uses),
        uncertain=any(row.statistic == Statistic.UNCERTAINTY for row in result.measurements),
        not_usable=Use.NO,
        accuracy=accuracy_table(result.provenance.model),
        model=dict.fromkeys(CARD_KEYS, "") | result.provenance.model,
        options=option_rows(result.provenance.options),
        software=software_rows(result),
        slowest=slowest or 1.0,
        bone_colour=css(BONE),
        files=results_tree,
        surfaces=data_uri(SURFACES_PICTURE.at(files_dir)),
        overlay=data_uri(OVERLAY.at(files_dir)),
        extrusion=data_uri(picture) if (picture := EXTRUSION_PICTURE.at(files_dir)).exists() else "",
        extruded=MENISCUS_EXTRUSION,
        flat_maps=data_uri(picture) if (picture := FLAT_MAPS_PICTURE.at(files_dir)).exists() else "",
    )
    REPORT.target(files_dir).write_text(page, encoding="utf-8", newline="\n")
