"""make evaluate-conditions: measure the networks in all conditions of conditions.py.

    python -m training.evaluation MAPS [--model nnunet_fullres] [--knees N] [--only CONDITION ...] [--processes 2]
    python -m training.evaluation MAPS --weights data/training/weights.onnx
    python -m training.evaluation MAPS --flags [--card]

MAPS/validation, or MAPS itself, contains expert label maps not used in training. A stopped run resumes from
build/conditions. Does not need torch.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.linux import die_with_parent
from pipeline.segmentation import run
from pipeline.segmentation.card import CARD_NAME
from pipeline.types import Resources
from training.evaluation.conditions import CONDITIONS, Condition
from training.evaluation.contrasts import contrast_figures, write_contrasts
from training.evaluation.examine import Examined, examine
from training.evaluation.flag_costs import judge
from training.evaluation.record import Record
from training.evaluation.table import Row, content, lines
from training.knee_unet.built_in import BuiltIn, built_in, with_edges, with_first_pass
from training.knee_unet.collection import knee_of, maps_in
from training.knee_unet.confidence import write_rule

RECORD = Path("build/conditions")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured. None: the built-in file.

    weights  of the first pass, a file or a folder with its card
    edges    file of the edge networks
    """

    model: str
    weights: Path | None
    edges: Path | None
    numbering: str
    threads: int
    record: Path

    def opened(self) -> tuple[BuiltIn, Record]:
        """The model, and its kept results."""
        model = with_edges(with_first_pass(built_in(self.model), self.weights), self.edges)
        return model, Record(folder=self.record, model=self.model, digests=model.identity().digests)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One scan. number: of the map in the folder."""

    condition: str
    path: Path
    number: int


def seed_of(condition: str, path: Path) -> int:
    """Seeds depend on knee and condition alone, so that any selection gives the same scans."""
    return zlib.crc32(f"{condition} {path.name}".encode()) & 0x7FFFFFFF


@cache
def _opened(plan: Plan) -> tuple[BuiltIn, Record]:
    return plan.opened()


def examined(plan: Plan, task: Task) -> Examined:
    """The kept result, or a new one."""
    model, record = _opened(plan)
    if kept := record.read(task.path, task.condition):
        return kept
    condition = next(one for one in CONDITIONS if one.id == task.condition)
    resources = Resources(threads=plan.threads)
    rendered = condition.render(task.path, plan.numbering, task.number, seed_of(task.condition, task.path))
    name = task.path.name.split(".")[0]
    found = examine(name, condition.id, rendered, lambda scan: run(model, scan, resources, lambda _: None), model.card)
    record.write(task.path, found)
    return found


def all_examined(plan: Plan, tasks: list[Task], processes: int) -> Iterator[tuple[Task, Examined]]:
    """Results as they are completed."""
    if processes == 1:
        yield from ((task, examined(plan, task)) for task in tasks)
        return
    with ProcessPoolExecutor(processes, initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
        running = {pool.submit(examined, plan, task): task for task in tasks}
        for done in as_completed(running):
            yield running[done], done.result()


def chosen(names: list[str] | None) -> tuple[Condition, ...]:
    """The conditions with these ids, in the order of the table. Raises SystemExit, which lists them, for others."""
    known = [one.id for one in CONDITIONS]
    if unknown := sorted(set(names or ()) - set(known)):
        raise SystemExit(f"unknown condition {', '.join(unknown)}; expected one of {', '.join(known)}")
    return tuple(one for one in CONDITIONS if names is None or one.id in names)


def first_maps(paths: list[Path], count: int | None) -> list[tuple[int, Path]]:
    """(number in the folder, map) of the first `count`: one visit of every knee before second visits."""
    seen: dict[str, int] = {}
    visits = []
    for number, path in enumerate(paths):
        seen[knee_of(path)] = seen.get(knee_of(path), -1) + 1
        visits.append((seen[knee_of(path)], number, path))
    return [(number, path) for _, number, path in sorted(visits)[:count]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of held-out label maps, or one with validation/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--model", default="nnunet_fullres", help="nnunet_fullres, nnunet_cascade, or knee_unet alone")
    parser.add_argument(
        "--weights", type=Path, help="first-pass weights to measure: a file, or a folder with card.json"
    )
    parser.add_argument("--edges", type=Path, help="file of edge networks to measure instead of the built-in one")
    parser.add_argument("--knees", type=int, help="maximum number of maps")
    parser.add_argument("--only", nargs="+", metavar="CONDITION", help="only these conditions")
    parser.add_argument("--processes", type=int, default=1, help="scans at the same time; they share the cores")
    parser.add_argument("--record", type=Path, default=RECORD, help="folder of kept results")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--flags", action="store_true", help="show what the flags cost instead (flag_costs.py)")
    parser.add_argument(
        "--card", action="store_true", help="write the limits by sequence to the card; with --flags the confidence flag"
    )
    given = parser.parse_args()
    folder = given.maps / "validation"
    maps = first_maps(maps_in(folder if folder.is_dir() else given.maps), given.knees)
    conditions = chosen(given.only)
    plan = Plan(
        model=given.model,
        weights=given.weights,
        edges=given.edges,
        numbering=given.numbering,
        threads=max(1, (os.cpu_count() or 1) // given.processes),
        record=given.record,
    )
    tasks = [Task(condition=one.id, path=path, number=number) for number, path in maps for one in conditions]
    found: dict[str, list[Examined]] = {one.id: [] for one in conditions}
    for done, (task, one) in enumerate(all_examined(plan, tasks, given.processes), start=1):
        found[task.condition].append(one)
        dice = " ".join(f"{value:.3f}" for value in one.values.get("dice", {}).values())
        print(f"{done}/{len(tasks)} {one.knee} {one.condition}: {one.failed or dice}", flush=True)
    rows = [Row(condition=one, knees=sorted(found[one.id], key=lambda k: k.knee)) for one in conditions]
    if given.flags:
        judged = judge([one for row in rows for one in row.knees])
        print("", *judged.lines(), sep="\n")
        if given.card:
            model, record = _opened(plan)
            write_rule(model.card.folder / CARD_NAME, record.digests, judged.rule, [one.title for one in conditions])
        return
    print("", *lines(rows), sep="\n")
    if given.card:
        model, record = _opened(plan)
        write_contrasts(model.card.folder / CARD_NAME, record.digests, contrast_figures(rows))
    if given.json:
        digests = _opened(plan)[1].digests
        given.json.write_text(json.dumps(content(rows, given.model, digests), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
