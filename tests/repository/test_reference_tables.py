"""The reference pages hold the tables of the code, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.state.model import Status
from pipeline.acquisition import PulseSequence
from pipeline.anatomy import SUBREGION_SCHEME, TABLE_ORDER, Structure
from pipeline.file_kinds import FileKind
from pipeline.flags import FLAGS, Extent, FlagKind, Use
from pipeline.oai_variables import OAI_MEASURES, OAI_VARIABLES
from pipeline.progress import StepState
from pipeline.quantities import HEADLINES, QUANTITIES, Method
from pipeline.results_tree import ARCHIVE_ROOT, ARTIFACTS, ViewFile
from pipeline.segmentation.registry import built_in_models
from pipeline.steps import STEPS

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def kinds() -> list[str]:
    return [f"| {kind} | {code(*kind.extensions)} |" for kind in FileKind if kind.extensions]


def artifacts() -> list[str]:
    return [
        f"| {code(item.path)} | {item.meaning} | {code(item.media_type)} | {item.condition or 'always'} | "
        f"{'kept' if item.research else ''} |"
        for item in ARTIFACTS
    ]


def views() -> list[str]:
    return [f"| {code(name)} | {code(name.media_type)} |" for name in ViewFile]


def sequences() -> list[str]:
    return [f"| {code(sequence)} | {sequence.words} |" for sequence in PulseSequence]


def states() -> list[str]:
    jobs = {status.words: code(status) for status in Status}
    return [f"| {state.words} | {code(state)} | {jobs.get(state.words, '')} |" for state in StepState]


def steps() -> list[str]:
    return [f"| {code(step.name)} | {step.title} |" for step in STEPS]


def quantities() -> list[str]:
    return [
        f"| {code(known.id)} | {known.title} | {known.definition} | {known.unit.symbol} | {code(*known.statistics)} |"
        for known in QUANTITIES.values()
    ]


def methods() -> list[str]:
    return [f"| {code(method)} | {method.display_name} | {method.definition} |" for method in Method]


def regions() -> list[str]:
    return [
        f"| {code(region.plate)} | {code(region.name)} | {region.short} | {region.label or ''} |"
        for region in TABLE_ORDER
    ]


def subregions() -> list[str]:
    prefixes = {
        (structure, region): name.removesuffix("MTH")
        for (_, structure, region, _), name in OAI_VARIABLES.items()
        if name.endswith("MTH")
    }
    return [
        f"| {code(place.plate)} | {code(place.name)} | {place.short} | {getattr(place, 'label', 0) or ''} | "
        f"{prefixes.get((place.plate, place.name), '')} |"
        for place in SUBREGION_SCHEME.shown
    ]


def oai_measures() -> list[str]:
    return [f"| {code(suffix)} | {code(quantity.id)} |" for suffix, quantity in OAI_MEASURES.items()]


def structures() -> list[str]:
    return [f"| {int(item)} | {code(item.key)} | {item.title} | {item.snomed} |" for item in Structure]


def headlines() -> list[str]:
    return [f"| {title} | {region.short} |" for title, region in HEADLINES]


def models() -> list[str]:
    return [f"| {code(model.card.id)} | {model.card.title} |" for model in built_in_models()]


def flags() -> list[str]:
    return [
        f"| {code(name)} | {kind.meaning} | {concerned(kind, Use.NO)} | {concerned(kind, Use.CAUTION)} |"
        for name, kind in FLAGS.items()
    ]


def concerned(kind: FlagKind, use: Use) -> str:
    """The quantities for which a flag means this use, and where they are not all of a place's."""
    order = list(QUANTITIES)
    parts = [
        code(*sorted(effect.quantities, key=order.index))
        + ("" if effect.extent is Extent.EVERYWHERE else f" of {effect.extent}")
        for effect in kind.effects
        if effect.use is use
    ]
    return "; ".join(parts)


TABLES = {
    "| Kind | Extensions |": ("files.md", kinds),
    "| File | Content | Media type | Present | Research |": ("files.md", artifacts),
    "| File | Media type |": ("files.md", views),
    "| Value | Name |": ("files.md", sequences),
    "| Word | Step | Job |": ("files.md", states),
    "| Step | Title |": ("files.md", steps),
    "| Quantity | Name | Definition | Unit | Statistics |": ("measures.md", quantities),
    "| Method | Name | Definition |": ("measures.md", methods),
    "| Structure | Region | Name | Number |": ("measures.md", regions),
    "| Structure | Subregion | Name | Number | OAI |": ("measures.md", subregions),
    "| Suffix | Quantity |": ("measures.md", oai_measures),
    "| Number | Structure | Name | SNOMED CT |": ("measures.md", structures),
    "| Figure | Region |": ("measures.md", headlines),
    "| Model | Name |": ("measures.md", models),
    "| Flag | Meaning | Do not use | Use with caution |": ("measures.md", flags),
}


def code(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words)


@pytest.mark.parametrize("head", TABLES)
def test_a_table_of_the_code_is_documented(head: str) -> None:
    page, rows = TABLES[head]
    expected = "\n".join([head, "|" + "---|" * head.count(" | ") + "---|", *rows()])
    assert expected in (REFERENCE / page).read_text(encoding="utf-8"), f"the table should read:\n\n{expected}"


def test_the_top_folder_of_the_zip_is_documented() -> None:
    assert f"`{ARCHIVE_ROOT}`" in (REFERENCE / "files.md").read_text(encoding="utf-8")
