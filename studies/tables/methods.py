"""methods.txt and provenance.json: how the numbers came about, for a paper and for programs. Without times of day."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pipeline.flags import FLAGS, FlagCode
from pipeline.options import AnalysisOptions
from pipeline.quantities import QUANTITIES, THC, THC_TAB, VOLUME
from pipeline.report.tables import json_text
from pipeline.results_tree import PROVENANCE as RESULT_PROVENANCE
from pipeline.segmentation.identity import GIVEN
from studies.longitudinal import knees
from studies.row_state import RowState
from studies.tables.rows import StudyState

METHODS: Final = "methods.txt"
PROVENANCE_JSON: Final = RESULT_PROVENANCE.path
NOTICE: Final = "Research use only. Not for clinical diagnosis."
WIDTH: Final = 100
_NAMED: Final = (THC, THC_TAB, VOLUME)


def methods_text(state: StudyState) -> str:
    """Paragraphs that a paper can use, with what was left out and why."""
    paragraphs = [
        *_scope(state),
        *_models(state),
        _options(state.options),
        _measures(),
        *_longitudinal(state),
        *_left_out(state),
        *_flags(state),
        NOTICE,
    ]
    return "\n\n".join(textwrap.fill(text, WIDTH) for text in paragraphs) + "\n"


def _scope(state: StudyState) -> Iterable[str]:
    complete = state.complete
    subjects = {row.checked.row.person.subject for row, _ in complete}
    visits = {row.checked.row.person.visit for row, _ in complete} - {""}
    words = f"{len(complete)} of {len(state.rows)} knee examinations of {len(subjects)} subjects"
    words += f" at {len(visits)} visits ({', '.join(sorted(visits))})" if len(visits) > 1 else ""
    programs = sorted({record.program for _, record in complete}) or ["(none)"]
    yield f"{words} were analysed with Kneebox {' and '.join(programs)}."
    waiting = sum(row.state is RowState.WAITING for row in state.rows)
    if waiting:
        yield f"This is a preliminary text: {waiting} examinations have not been analysed yet."


def _models(state: StudyState) -> Iterable[str]:
    found: dict[str, tuple[dict[str, Any], int]] = {}  # Any: read from JSON
    for _, record in state.complete:
        model, number = found.get(str(record.model["identity"]), (record.model, 0))
        found[str(record.model["identity"])] = model, number + 1
    for model, number in found.values():
        if model["source"] == GIVEN:
            yield f"{number} examinations were measured on label maps that were given ({model['id']})."
            continue
        words = (
            f"Bones and cartilage of {number} examinations were outlined by the model {model['title']} ({model['id']}"
        )
        digests = [value[:12] for _, value in sorted(model["identity"]["digests"].items())]
        words += f", files with SHA-256 {', '.join(digests)}" if digests else ""
        words += f", {model['source']}, licence {model.get('licence') or 'not stated'}). {model.get('citation', '')}"
        yield words.strip()
    corrected = sum(record.version > 1 for _, record in state.complete)
    if corrected:
        yield (
            f"The outlines of {corrected} examinations were corrected by readers and measured again (version 2 and "
            "higher in the column version)."
        )


def _options(options: Mapping[str, object]) -> str:
    default = AnalysisOptions().to_dict()
    changed = [f"{name} = {value}" for name, value in options.items() if value != default.get(name)]
    return (
        f"All options had their default values except {', '.join(changed)}."
        if changed
        else ("All options had their default values.")
    )


def _measures() -> str:
    texts = [f"{item.title} ({item.id}, {item.unit.symbol}): {item.definition}" for item in _NAMED]
    return f"{' '.join(texts)} The other {len(QUANTITIES) - len(texts)} quantities are in data_dictionary.csv."


def _longitudinal(state: StudyState) -> Iterable[str]:
    followed = knees(state.examinations)
    if followed:
        yield (
            f"{len(followed)} knees have two and more visits. For changes, the bones of the later visit were "
            "registered to those of the earlier one, and thickness was compared at the same points of the bone "
            "(ThC_matched); slopes are straight lines by least squares over three and more visits that have a time."
        )


def _left_out(state: StudyState) -> Iterable[str]:
    checked = Counter(state.check.decisive(row.checked)[0].code for row in state.rows if row.state is RowState.LEFT_OUT)
    failed = Counter(row.failure.code for row in state.rows if row.failure is not None)
    for counts, words in ((checked, "were left out before the analysis"), (failed, "could not be analysed")):
        if counts:
            listed = ", ".join(f"{code} {number}" for code, number in sorted(counts.items()))
            yield f"{sum(counts.values())} examinations {words} ({listed}); failures.csv has the reason of each."
    if state.check.accepted:
        yield f"Doubts of these kinds were accepted: {', '.join(sorted(state.check.accepted))}."


def _flags(state: StudyState) -> Iterable[str]:
    counts = Counter(code for _, record in state.complete for code in record.flags)
    listed = [
        f"{code} in {number} ({FLAGS[FlagCode(code)].meaning})"
        for code, number in sorted(counts.items())
        if code in tuple(FlagCode)
    ]
    if listed:
        yield f"Quality flags were raised: {'; '.join(listed)}. Numbers that they forbid are marked in the column use."


def provenance_text(state: StudyState) -> str:
    """Versions, models, options and, for each row, the digests of its input and its analysis: JSON."""
    versions: list[dict[str, Any]] = []
    rows = []
    for row in state.rows:
        entry: dict[str, Any] = {"row": row.number, "state": row.state.value}
        if row.record is not None:
            known = row.record.versions | {"model": row.record.model}
            if known not in versions:
                versions.append(known)
            inputs = {name: digest for name, digest in row.record.inputs.items() if digest}
            entry |= {
                "analysis": row.record.address,
                "version": row.record.version,
                "input_sha256": inputs,
                "options": dict(row.checked.row.options)
                | ({} if row.checked.row.person.side is None else {"side": str(row.checked.row.person.side)}),
                "versions": versions.index(known),
            }
        elif row.failure is not None:
            entry |= {"failure": asdict(row.failure)}
        rows.append(entry)
    return json_text(
        {
            "notice": NOTICE,
            "options": dict(state.options),
            "accepted": sorted(state.check.accepted),
            "versions": versions,
            "rows": rows,
        }
    )
