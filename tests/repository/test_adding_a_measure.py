"""A measure added as described in CONTRIBUTING.md appears in every table without further changes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.tables import format_value
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd
from tests.support.recipes import Checkout, follow

pytestmark = pytest.mark.slow

TITLE = "Bone volume"

SERVICE = """
import json, os, sys
from tests.support import processes
os.environ["REDIS_URL"] = sys.argv[1]
from fastapi.testclient import TestClient
import api
from pipeline.quantities import QUANTITIES
from tests.support.finished_jobs import finished_job
from ui.parts import tables

first, second = finished_job(), finished_job()
client = TestClient(api.app, base_url="http://localhost")
rows = client.get(f"/jobs/{first}/measurements").json()
compared = client.get(f"/compare/{first}/{second}").json()["changes"]
quantity = QUANTITIES["bone_volume"]
page = dict((item.id, frame) for item, frame in tables.other_quantities(rows))
print(json.dumps({
    "rest": [row for row in rows if row["quantity"] == quantity.id],
    "page": page[quantity.id].to_dict("records"),
    "offered": [item.column for item in tables.compared(compared)],
    "changes": tables.changes(compared, quantity).to_dict("records"),
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return follow("Add a measure", tmp_path_factory.mktemp("measure"))


def test_an_added_measure_is_in_the_files_and_the_report(checkout: Checkout, tmp_path: Path) -> None:
    labels, folder = tmp_path / "knee.nrrd", tmp_path / "results"
    write_nrrd(coarse_knee(), labels)
    printed = checkout.python("-m", "pipeline", "--no-nsm", "--labels", str(labels), str(folder))
    with (folder / "results.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["quantity"] == "bone_volume"]
    assert [(row["structure"], row["region"], row["statistic"], row["unit"]) for row in rows] == [
        (bone, "all", "total", "mm3") for bone in ("femur", "tibia", "patella")
    ]
    document = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    stored = [row["value"] for row in document["measurements"] if row["quantity"] == "bone_volume"]
    assert [format_value(value) for value in stored] == [row["value"] for row in rows]
    (line,) = [line for line in printed.splitlines() if line.startswith(f"{TITLE} (mm³): ")]
    assert f"Femur {stored[0]:.0f}; " in line
    report = (folder / "report.html").read_text(encoding="utf-8")
    table = report.split(f"<h3>{TITLE}, voxel count</h3>")[1].split("</table>")[0]
    assert f"<th>Femur</th><td>{stored[0]:,.0f}</td>".replace(",", "\u202f") in table
    assert "Volume of the bone inside the image" in (folder / "README.txt").read_text(encoding="utf-8")


def test_an_added_measure_is_explained_on_the_methods_page(checkout: Checkout) -> None:
    page = checkout.page("pages/methods.py")
    assert page["exceptions"] == []
    assert "Volume of the bone inside the image" in page["text"]


def test_an_added_measure_is_in_the_glossary(checkout: Checkout) -> None:
    checkout.run_tests("tests/pipeline/test_quantities.py")


def test_an_added_measure_is_in_rest_the_page_and_compare(checkout: Checkout, valkey: str) -> None:
    found: dict[str, Any] = json.loads(checkout.python("-c", SERVICE, valkey).splitlines()[-1])
    values = {row["structure"]: row["value"] for row in found["rest"]}
    assert list(values) == ["femur", "tibia", "patella"]
    assert min(values.values()) > 1000.0
    assert found["page"] == [
        {"Place": name.capitalize(), "Use": "yes", "Total": value} for name, value in values.items()
    ]
    assert f"{TITLE} (mm³)" in found["offered"]
    assert [(line["Region"], line["First"], line["Change"]) for line in found["changes"]] == [
        (name.capitalize(), value, 0.0) for name, value in values.items()
    ]
