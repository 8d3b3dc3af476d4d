"""The report: what it states, and that names of files cannot change the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.validation.case import CaseResult, Outcomes, Refusal
from pipeline.validation.files import REPORT
from pipeline.validation.labelled_set import Case, LabelledSet
from pipeline.validation.layouts import LAYOUTS
from pipeline.validation.record import Validation
from pipeline.validation.report import write_report
from tests.support.validations import CASES, validation


def page(folder: Path, results: dict[str, CaseResult], found: Validation, **others: tuple[str, ...]) -> str:
    cases = tuple(Case(name=name, scan=folder, labels=folder) for name in results)
    outcomes = Outcomes(
        results=results,
        refusals={"x": Refusal(code="EMPTY_IMAGE", message="Only <background>.")} if found.refused else {},
        folders=dict.fromkeys(results, folder),
    )
    write_report(found, LabelledSet(layout=LAYOUTS[-1], cases=cases, **others), outcomes, folder)
    return (folder / REPORT).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = validation(refused=1, unpaired=1)
    return page(tmp_path_factory.mktemp("report"), CASES, found, without_scan=("lonely",))


def text_of(html: str) -> str:
    """The text between tags, without scripts and styles."""
    return re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL))


def test_the_report_has_the_figures_of_the_record(plain: str) -> None:
    text = text_of(plain)
    assert "Femoral cartilage 0.850 0.050 0.800" in text
    assert "+0.10 mm limits −0.10 to +0.30" in text


def test_the_worst_case_is_shown_first(plain: str) -> None:
    shown = re.findall(r"<summary>(\w+): mean cartilage Dice", plain)
    assert shown == ["b", "c", "a"]


def test_what_is_left_out_is_stated(plain: str) -> None:
    text = text_of(plain)
    assert "Not in the label maps: femur, tibia, patella" in text
    assert "1 case has no result" in text
    assert "Label maps without a scan: lonely" in text


def test_the_library_of_the_drawings_is_embedded_once(plain: str) -> None:
    assert plain.count("plotly.js v") == 1
    assert plain.count('class="plotly-graph-div"') == 1, "one headline region was measured"


def test_names_of_files_are_text(plain: str, tmp_path: Path) -> None:
    assert "Only &lt;background&gt;." in plain
    name = "<img src=x onerror=alert(1)>"
    html = page(tmp_path, {name: CASES["a"], "b": CASES["b"], "c": CASES["c"]}, validation())
    assert name not in html


def test_measures_on_the_bones_of_the_model_are_called_so(tmp_path: Path) -> None:
    assert "Both cartilages are measured on the model's bones" in text_of(
        page(tmp_path, CASES, validation(without_bones=True))
    )
