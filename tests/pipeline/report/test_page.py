"""report.html: self-contained, complete, safe."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.anatomy import FEMUR_ANTERIOR
from pipeline.report.charts import Bar, Pair, compartments_chart, regions_chart
from pipeline.report.page_tables import Lookup, number, other_tables, plate_tables
from pipeline.uses import Uses
from tests.support.report_phantom import THICK_SLICES, phantom, write_tree


class Reader(HTMLParser):
    """Collects resources and scripts of a page, its text, and unclosed tags."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    write_tree(phantom(), folder)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Reader:
    reader = Reader()
    reader.feed(source)
    return reader


def words(reader: Reader) -> str:
    return " ".join(" ".join(reader.text).split())


def test_the_page_loads_no_resources_and_runs_no_scripts(source: str, page: Reader) -> None:
    assert len(page.links) == 3
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?://", source)


def test_the_page_states_its_purpose_and_warnings(page: Reader) -> None:
    text = words(page)
    assert "Research use only. Not for clinical diagnosis." in text
    assert "Tibia ends at the lower edge of the image, found 900 mm²" in text
    assert "Shape model was skipped" in text
    assert "Validated on synthetic images only." in text
    assert text.index("Before you use these numbers") < text.index("Cartilage thickness")


def test_external_messages_are_escaped(source: str, page: Reader) -> None:
    assert "<no shape model>" not in source
    assert "Shape model was skipped: <no shape model> installed." in words(page)
    assert html.escape("<no shape model>") in source


def test_a_result_without_flags_is_reported_as_such(tmp_path: Path) -> None:
    result = phantom()
    model = {key: value for key, value in result.provenance.model.items() if key != "caution"}
    clean = replace(result, flags=(), warnings=(), provenance=replace(result.provenance, model=model))
    write_tree(clean, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No quality flags" in text
    assert "Before you use these numbers" not in text


def test_numbers_that_must_not_be_used_are_struck_through_with_the_reason(tmp_path: Path) -> None:
    write_tree(phantom((THICK_SLICES,)), tmp_path)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    head = source.split("<h2>Cartilage thickness</h2>")[1].split("</section>")[0]
    assert head.count("Do not use: slices of 4 mm") == head.count("<s>") == 4
    assert 'class="v"' not in head
    tables = source.split("<h2>Measurements</h2>")[1].split("</section>")[0]
    for row in re.findall(r"<tr[^>]*><th>.*?</tr>", tables.split("T2, multi-echo")[0], re.DOTALL):
        if "<td" in row:
            struck = re.findall(r'<td class="ban"><s>[\d.,–]', row)
            assert len(struck) == 7, row
    assert "stroke-dasharray" in source
    assert source.index("Slices of 4 mm: do not use thickness, area or volume of cartilage.") < source.index("<svg")


def test_a_result_without_flags_has_no_number_struck_through(tmp_path: Path) -> None:
    write_tree(phantom(()), tmp_path)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<s>" not in source
    assert "Do not use" not in source


def test_every_measurement_is_on_the_page(page: Reader) -> None:
    result = phantom()
    text = words(page)
    for row in result.measurements:
        if row.quantity == "ThC" and row.method == "union" and row.statistic == "mean":
            assert number(row.value) in text, row
    assert "41.7" in text
    assert "Skipped: 1 echo; T2 needs at least 2" in text


def test_confidence_is_on_the_page_as_uncalibrated(source: str) -> None:
    table = source.split("How sure the network was (uncalibrated)")[1].split("</table>", maxsplit=1)[0]
    assert "<th>Femur</th><td>0.97</td><td>0.64</td>" in table
    assert "<th>Tibial cartilage</th><td>0.81</td><td>–</td>" in table


def test_light_dark_and_print_are_provided_for(source: str) -> None:
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source


def test_plate_tables_take_each_number_from_the_matching_row() -> None:
    rows = phantom().measurements
    femoral = plate_tables(Lookup(rows), Uses(flags=()))[0]
    anterior = next(row for row in femoral["rows"] if row["title"] == FEMUR_ANTERIOR.short)
    here = [row for row in rows if (row.structure, row.region) == ("femoral_cartilage", "anterior")]
    truth = {(row.quantity, row.method, row.statistic): row.value for row in here}
    assert anterior["thc"]["mean"] == truth["ThC", "union", "mean"]
    assert anterior["thctab"] == truth["ThCtAB", "union", "mean"]
    assert anterior["tab"] == truth["tAB", "union", "total"]
    assert anterior["dab"] == truth["dAB", "union", "share"]
    assert anterior["voxels_mm3"] == truth["volume", "voxel_count", "total"]
    assert anterior["other"]["mean"] == truth["ThC", "two_crossing", "mean"]


def test_rows_without_a_separate_table_are_pivoted() -> None:
    tables = other_tables(phantom().measurements, Uses(flags=()))
    assert [table.title for table in tables] == ["T2, multi-echo"]
    assert tables[0].unit == "ms"
    assert [row[0] for row in tables[0].rows] == ["Femur, anterior", "Patella, whole plate"]
    assert tables[0].rows[0][1] == (41.7,)
    assert math.isnan(tables[0].rows[1][1][0])


def test_a_region_without_a_value_has_no_mark_in_the_charts() -> None:
    nothing = Bar(title="Patella", colour="#999999", mean=math.nan, std=math.nan, other=math.nan)
    drawing = regions_chart([nothing])
    assert "no value" in drawing
    assert "<circle" not in drawing
    assert "nan" not in drawing
    pair = compartments_chart([Pair(title="Tibia", medial=2.0, lateral=math.nan)])
    assert pair.count("<circle") == 1
    assert "nan" not in pair


def test_a_thickness_is_at_its_position_on_the_axis() -> None:
    drawing = regions_chart([Bar(title="a", colour="#000000", mean=2.0, std=0.5, other=math.nan)])
    centre = float(re.findall(r'<circle[^>]* cx="([\d.]+)"', drawing)[0])
    ticks = {text: float(x) for x, text in re.findall(r'class="a" x="([\d.]+)"[^>]*>(\d)', drawing)}
    assert math.isclose(centre, ticks["2"], abs_tol=0.11)
