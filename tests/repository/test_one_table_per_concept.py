"""Every table of the product is written once: its strings are only in the module that owns it.

Looked at are the string constants of every Python module (docstrings aside), the string tokens of the scripts, and the
report's template. Pages, report, REST interface and command line have to read the table instead of repeating it, and
scripts get its entries as JSON.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from jobs.state.model import Status
from pipeline.acquisition import PulseSequence
from pipeline.anatomy import (
    ALL,
    COMPARTMENT_PAIRS,
    FEMOROTIBIAL,
    FEMUR_ANTERIOR,
    NUMBERINGS,
    SUBREGION_SCHEME,
    SUMS,
    TABLE_ORDER,
    Compartment,
    Plate,
    Structure,
    pair_title,
)
from pipeline.file_kinds import EXTENSIONS, UPLOAD_WORDS, FileKind
from pipeline.flags import FlagCode
from pipeline.options import DEFAULT_MODEL
from pipeline.progress import StepState
from pipeline.quantities import HEADLINES, QUANTITIES, Method, Quantity, Unit
from pipeline.relaxation import RELAXATION_LAYERS
from pipeline.results_tree import ARCHIVE_ROOT, ARTIFACTS, ViewFile
from pipeline.segmentation.registry import built_in_models
from pipeline.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "studies", "jobs", "rest", "ui", "pages")
NOT_OURS = ROOT / "ui" / "assets" / "vendor"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Strings that one module owns.

    owner   the module, relative to the repository
    part    an entry is found inside longer strings as well (paths, extensions); else it has to be the whole string
    shared  entry -> why other modules may write it too; every entry of it has to be used
    """

    name: str
    owner: str
    entries: tuple[str, ...]
    part: bool = False
    shared: tuple[tuple[str, str, str], ...] = ()
    """(entry, module, reason)."""


def pieces(path: str) -> set[str]:
    """A path, its file name, and the fixed parts of its pattern that are long enough to be recognised."""
    fixed = {piece for piece in re.split(r"{\w+}", path) if len(piece) > 3}
    return {path, path.rpartition("/")[2], *fixed}


def texts(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    return tuple(
        text
        for item in quantities
        for text in (item.id, item.title, item.short, item.definition, item.explained, item.column)
    )


DATA_STATE = "state of a part of the page, for its style sheet"

KNOWN_SEQUENCES = [sequence for sequence in PulseSequence if sequence is not PulseSequence.UNKNOWN]
"""Without `unknown`, which is also used for other things."""

TABLES = (
    Table(
        name="files of the results",
        owner="pipeline/results_tree.py",
        entries=tuple(piece for item in ARTIFACTS for piece in (*pieces(item.path), item.meaning)),
        part=True,
        shared=(("labels.nrrd", "pipeline/alignment.py", "the file of the reference knee"),),
    ),
    Table(
        name="files of the viewers",
        owner="pipeline/results_tree.py",
        entries=tuple(ViewFile),
        part=True,
    ),
    Table(name="name of the zip", owner="pipeline/results_tree.py", entries=(ARCHIVE_ROOT, "_results")),
    Table(
        name="extensions",
        owner="pipeline/file_kinds.py",
        entries=EXTENSIONS,
        part=True,
        shared=(
            *((extension, "pipeline/results_tree.py", "its file paths") for extension in (".nii.gz", ".nrrd")),
            (".zip", "pipeline/workspace.py", "name of a file that nobody is shown"),
            (".nrrd", "pipeline/alignment.py", "the file of the reference knee"),
            (".nii.gz", "ui/home/submission.py", "the file of the sample"),
            (".zip", "rest/version_routes.py", "an address"),
            (".zip", "rest/study_routes.py", "an address"),
        ),
    ),
    Table(name="names of file kinds", owner="pipeline/file_kinds.py", entries=(*FileKind, UPLOAD_WORDS)),
    Table(
        name="pulse sequences",
        owner="pipeline/acquisition.py",
        entries=tuple(word for known in KNOWN_SEQUENCES for word in (known.value, known.words)),
    ),
    Table(
        name="states of steps",
        owner="pipeline/progress.py",
        entries=tuple(word for state in StepState for word in (state.value, state.words)),
        shared=(
            ("done", "jobs/command_line/tables.py", "head of the column of percents"),
            ("failed", "jobs/state/lifecycle.py", "the queue library's own state"),
            ("done", "ui/assets/components/upload.js", DATA_STATE),
            ("failed", "ui/assets/viewers/scene.js", DATA_STATE),
            ("failed", "ui/assets/viewers/slices.js", DATA_STATE),
        ),
    ),
    Table(
        name="states of jobs",
        owner="jobs/state/model.py",
        entries=tuple(Status),
        shared=(
            ("error", "ui/compare/trend_rows.py", "the standard error of a slope"),
            ("error", "studies/tables/dictionary.py", "the standard error of a slope"),
        ),
    ),
    Table(
        name="quantities",
        owner="pipeline/quantities.py",
        entries=texts(item for item in QUANTITIES.values() if item not in RELAXATION_LAYERS),
    ),
    Table(
        name="relaxation times",
        owner="pipeline/relaxation.py",
        entries=texts(RELAXATION_LAYERS),
        shared=(("T2", "pipeline/image_io/dicom_kinds.py", "a value of the DICOM header"),),
    ),
    Table(
        name="methods",
        owner="pipeline/quantity.py",
        entries=tuple(text for item in Method for text in (item.value, item.display_name, item.definition)),
    ),
    Table(
        name="units",
        owner="pipeline/quantity.py",
        entries=tuple(text for item in Unit if len(item) > 2 for text in (item.value, item.symbol)),
    ),
    Table(
        name="headline figures",
        owner="pipeline/quantities.py",
        entries=tuple(title for title, region in HEADLINES if title != region.plate.bone.title),
    ),
    Table(name="quality flags", owner="pipeline/flags.py", entries=tuple(FlagCode)),
    Table(
        name="plates and regions",
        owner="pipeline/anatomy/regions.py",
        entries=(
            *(text for plate in Plate for text in (plate.value, plate.display_name)),
            *(text for region in TABLE_ORDER for text in (region.name, region.key, region.title, region.short)),
            *(pair_title(medial) for medial, _ in COMPARTMENT_PAIRS if medial.part),
        ),
        shared=(
            *((half.value, "pipeline/anatomy/names.py", "words in others' labels") for half in Compartment),
            (ALL, "ui/parts/tables.py", "an argument of pandas"),
            (ALL, "ui/studies/charts.py", "an argument of plotly"),
            (ALL, "api.py", "a value of a parameter"),
            (FEMUR_ANTERIOR.name, "pipeline/field_of_view.py", "a direction"),
        ),
    ),
    Table(
        name="subregions",
        owner="pipeline/anatomy/subregions.py",
        entries=tuple(
            text
            for place in (*SUBREGION_SCHEME.regions, *SUMS)
            for text in (place.name, place.key, place.short, FEMOROTIBIAL)
        ),
    ),
    Table(
        name="structures",
        owner="pipeline/anatomy/structures.py",
        entries=tuple(text for structure in Structure for text in (structure.key, structure.title, structure.snomed)),
        shared=(
            *((bone, "pipeline/anatomy/names.py", "words in others' labels") for bone in ("femur", "tibia", "patella")),
            *((title, "pipeline/quantities.py", "headline figures of whole bones") for title in ("Femur", "Patella")),
            *(
                (plate.value, "pipeline/anatomy/regions.py", "plates and structures share names")
                for plate in (Plate.FEMORAL, Plate.PATELLAR)
            ),
        ),
    ),
    Table(
        name="numberings",
        owner="pipeline/anatomy/numberings.py",
        entries=tuple(NUMBERINGS),
    ),
    Table(
        name="segmentation models",
        owner="models",
        entries=tuple(text for model in built_in_models() for text in (model.card.id, model.card.title)),
        shared=((DEFAULT_MODEL, "pipeline/options.py", "the default"),),
    ),
    Table(name="titles of steps", owner="pipeline/steps.py", entries=tuple(step.title for step in STEPS)),
)


def sources() -> list[Path]:
    """Python modules, scripts and templates of the product."""
    inside = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*"))]
    files = [*inside, *sorted(ROOT.glob("*.py"))]
    return [path for path in files if path.suffix in (".py", ".js", ".jinja") and NOT_OURS not in path.parents]


def python_strings(text: str) -> Iterator[str]:
    """String constants, the fixed parts of f-strings among them; no docstring."""
    tree = ast.parse(text)
    unread = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unread:
            yield node.value


_SCRIPT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`""", re.DOTALL
)


def script_strings(text: str) -> Iterator[str]:
    """String tokens, and the fixed parts of template strings; no comment."""
    for match in _SCRIPT.finditer(text):
        plain = match[1] if match[1] is not None else match[2]
        if plain is not None:
            yield plain
        elif match[3] is not None:
            yield from re.split(r"\$\{[^}]*\}", match[3])


def template_strings(text: str) -> Iterator[str]:
    """The text between tags, and the quoted strings of expressions."""
    text = re.sub(r"<style>.*?</style>|{#.*?#}", "", text, flags=re.DOTALL)
    for code in re.findall(r"{[{%].*?[}%]}", text, flags=re.DOTALL):
        yield from re.findall(r'"([^"]*)"', code)
    yield from re.split(r"<[^>]*>|{[{%].*?[}%]}", text)


@cache
def strings(path: Path) -> tuple[str, ...]:
    read = {".py": python_strings, ".js": script_strings, ".jinja": template_strings}[path.suffix]
    return tuple(read(path.read_text(encoding="utf-8")))


def copies(table: Table, found: Iterable[str]) -> set[str]:
    """Which entries of the table stand among the strings."""
    if not table.part:
        return set(table.entries) & {text.strip() for text in found}
    return {entry for text in found for entry in table.entries if pattern_of(entry).search(text)}


@cache
def pattern_of(entry: str) -> re.Pattern[str]:
    """The entry inside a longer string, but not inside a longer name."""
    before = r"(?<![\w/.])" if entry[0].isalnum() else ""
    return re.compile(rf"{before}{re.escape(entry)}(?![\w]|\.\w)")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_written_once(table: Table) -> None:
    excused = {(entry, module) for entry, module, _ in table.shared}
    found = {
        (entry, path.relative_to(ROOT).as_posix())
        for path in sources()
        if path != ROOT / table.owner
        for entry in copies(table, strings(path))
    }
    assert not found - excused
    assert not excused - found, "no longer needed"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (python_strings, "title = f'{name}, ThC'\n"),
        (python_strings, "titles = {'first': ['ThC']}\n"),
        (script_strings, "const title = 'ThC'; // a comment\n"),
        (script_strings, "const title = `${name}, ThC`;\n"),
        (template_strings, "<th>ThC</th>"),
        (template_strings, '<th>{{ value["ThC"] }}</th>'),
    ],
)
def test_a_second_copy_is_found(read: Callable[[str], Iterable[str]], text: str) -> None:
    table = Table(name="quantities", owner="pipeline/quantities.py", entries=("ThC",), part=True)
    assert copies(table, read(text)) == {"ThC"}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (python_strings, '"""How ThC is measured."""\n'),
        (script_strings, "const title = scale.title; // 'ThC', for example\n"),
        (template_strings, "{# ThC #}<th>{{ quantity.title }}</th>"),
    ],
)
def test_a_description_is_no_copy(read: Callable[[str], Iterable[str]], text: str) -> None:
    table = Table(name="quantities", owner="pipeline/quantities.py", entries=("ThC",), part=True)
    assert copies(table, read(text)) == set()
