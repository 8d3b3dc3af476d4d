"""A study that is run, continued and interrupted: every row once, and the same tables in the end."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kneebox import main
from pipeline.errors import OutOfMemory
from pipeline.quantities import QUANTITIES, VOLUME
from pipeline.results_tree import MEASUREMENTS
from pipeline.types import Resources
from pipeline.workspace import KEPT_FOLDER
from studies.analysis import AnalysisTask, State, analyse
from studies.longitudinal import SLOPES
from studies.processes import Call, Processes, ProcessLost
from studies.run import STORE
from studies.store import FAILURE, RECORD, AnalysisFolder
from studies.tables.dictionary import DICTIONARY_CSV
from studies.tables.listings import CHANGES_CSV, FAILURES_CSV, OAI_CSV, ROWS_CSV, SLOPES_CSV
from studies.tables.measurements import MEASUREMENTS_CSV
from studies.tables.methods import METHODS
from studies.tables.names import MEASUREMENTS_PARQUET
from tests.support.processes import wait_until
from tests.support.small_study import COMPLETE, MANIFEST, OPTIONS, YEARS, analysed_study, tables

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AS_IN_A_TERMINAL = ["env", "--default-signal=INT"]
"""A shell without a terminal starts background processes with SIGINT ignored, and children inherit that."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    manifest: Path
    out: Path

    @property
    def store(self) -> Path:
        return self.out / STORE

    def read(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.out / name, keep_default_na=False, dtype=str)


def run(manifest: Path, out: Path, *more: str) -> int:
    return main(["study", "run", str(manifest), str(out), *OPTIONS, *more])


def stamps(store: Path, name: str) -> dict[str, int]:
    """When each analysis of a store was computed."""
    return {path.parent.name: path.stat().st_mtime_ns for path in store.glob(f"*/{name}")}


@pytest.fixture(scope="module")
def ran() -> Ran:
    folder = analysed_study()
    return Ran(manifest=folder / MANIFEST, out=folder / "out")


def test_every_row_is_complete_failed_or_left_out_with_its_reason(ran: Ran) -> None:
    rows = ran.read(ROWS_CSV)
    assert list(rows.state) == ["analysed"] * COMPLETE + ["failed", "left_out"]
    assert list(rows.code) == [""] * COMPLETE + ["UNSUPPORTED_IMAGE", "MISSING_FILE"]
    failures = ran.read(FAILURES_CSV)
    assert list(failures.path) == ["background.nrrd", "gone.nrrd"]
    assert all(failures.message)
    assert all(failures.remedy)
    assert list(failures.row) == ["6", "7"]


def test_the_measurements_are_those_of_each_analysis_in_csv_and_parquet(ran: Ran) -> None:
    rows = ran.read(ROWS_CSV)
    text = ran.read(MEASUREMENTS_CSV)
    for row, address in zip(rows.row[:COMPLETE], rows.analysis[:COMPLETE], strict=True):
        own = pd.read_csv(MEASUREMENTS.at(ran.store / address), keep_default_na=False, dtype=str)
        part = text[text.row == row].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[own.columns], own)
    typed = pd.read_parquet(ran.out / MEASUREMENTS_PARQUET)
    assert list(typed.columns) == list(text.columns)
    np.testing.assert_array_equal(typed.value.to_numpy(), pd.to_numeric(text.value).to_numpy())
    assert list(typed.subject.astype(str)) == list(text.subject)
    assert typed.years.isna().sum() == (text.years == "").sum() > 0
    assert set(typed.quantity) <= set(QUANTITIES)


def test_rows_and_wide_table_keep_what_the_manifest_says(ran: Ran) -> None:
    rows, wide = ran.read(ROWS_CSV), ran.read(OAI_CSV)
    assert list(rows.group) == ["case"] * 3 + ["control"] * 2 + ["case"]
    assert list(rows.value) == ["x", "x", "x", "y", "z", "z"]
    assert list(wide.age) == ["60.5", "61.5", "62.5", ""]
    assert list(wide.SIDE) == ["1"] * COMPLETE
    thick = pd.read_csv(ran.out / MEASUREMENTS_CSV)
    row = thick[(thick.row == 2) & (thick.oai_variable == "WMTMTH")]
    assert float(wide.WMTMTH[0]) == row.value.item()


def test_equal_content_is_one_analysis_and_its_rows_are_not_doubled(ran: Ran) -> None:
    rows = ran.read(ROWS_CSV)
    assert rows.analysis[0] == rows.analysis[3] != rows.analysis[1]
    assert len(stamps(ran.store, RECORD)) == COMPLETE - 1
    text = ran.read(MEASUREMENTS_CSV)
    keys = ["row", "quantity", "method", "structure", "region", "statistic"]
    assert not text.duplicated(keys).any()


def test_changes_are_from_the_first_visit_and_from_each_to_the_next(ran: Ran) -> None:
    changes = ran.read(CHANGES_CSV)
    pairs = changes[["subject", "from_visit", "to_visit", "years", "consecutive", "from_first"]].drop_duplicates()
    assert [tuple(pair) for pair in pairs.to_numpy()] == [
        ("S0", "V00", "V01", "1.0000", "yes", "yes"),
        ("S0", "V00", "V02", "2.5000", "no", "yes"),
        ("S0", "V01", "V02", "1.5000", "yes", "no"),
    ]
    whole = changes[(changes.quantity == VOLUME.id) & (changes.region == "all")]
    whole = whole[whole.structure == "femoral_cartilage"]
    assert all(pd.to_numeric(whole.change) < 0)


def test_slopes_are_straight_lines_over_the_years_of_the_visits(ran: Ran) -> None:
    slopes = pd.read_csv(ran.out / SLOPES_CSV)
    text = pd.read_csv(ran.out / MEASUREMENTS_CSV)
    place = (VOLUME.id, "femoral_cartilage", "all")
    values = text[(text.quantity == place[0]) & (text.structure == place[1]) & (text.region == place[2])]
    expected = np.polyfit(YEARS, values[values.subject == "S0"].value.to_numpy(), 1)[0]
    found = slopes[(slopes.quantity == place[0]) & (slopes.structure == place[1]) & (slopes.region == place[2])]
    assert found.slope.item() == pytest.approx(expected, abs=1e-5)
    assert set(slopes.visits) == {3}


def test_the_dictionary_has_every_column_and_quantity(ran: Ran) -> None:
    known = ran.read(DICTIONARY_CSV)
    for name in (MEASUREMENTS_CSV, ROWS_CSV, FAILURES_CSV, OAI_CSV, CHANGES_CSV, SLOPES_CSV):
        header = next(csv.reader((ran.out / name).open(encoding="utf-8")))
        described = known[known.table == name]
        assert set(header) <= set(described.column), name
        assert all(described.meaning), name
    measured = set(ran.read(MEASUREMENTS_CSV).quantity)
    assert measured <= set(known[known.column == "quantity"].value)


def test_the_methods_text_says_how_many_and_what_was_left_out(ran: Ran) -> None:
    text = " ".join((ran.out / METHODS).read_text(encoding="utf-8").split())
    assert "4 of 6 knee examinations of 2 subjects" in text
    assert "(MISSING_FILE 1)" in text
    assert "(UNSUPPORTED_IMAGE 1)" in text
    assert "SAME_CONTENT" in text
    assert "perform_nsm = False" in text
    assert "Not for clinical diagnosis." in text


def test_a_second_call_computes_nothing_and_retries_failures_only_on_request(ran: Ran) -> None:
    before, computed, failed = tables(ran.out), stamps(ran.store, RECORD), stamps(ran.store, FAILURE)
    assert len(failed) == 1
    assert run(ran.manifest, ran.out) == 1
    assert (tables(ran.out), stamps(ran.store, RECORD), stamps(ran.store, FAILURE)) == (before, computed, failed)
    assert run(ran.manifest, ran.out, "--retry-failed") == 1
    assert stamps(ran.store, RECORD) == computed
    assert stamps(ran.store, FAILURE) != failed
    assert tables(ran.out) == before


def test_another_study_uses_the_analyses_of_a_shared_store(ran: Ran, tmp_path: Path) -> None:
    lines = ran.manifest.read_text(encoding="utf-8").splitlines()
    other = ran.manifest.with_name("other.csv")
    other.write_text("\n".join([lines[0], lines[2].replace("S0", "P9")]) + "\n", encoding="utf-8")
    computed = stamps(ran.store, RECORD)
    assert run(other, tmp_path / "out", "--store", str(ran.store)) == 0
    assert stamps(ran.store, RECORD) == computed
    found = pd.read_csv(tmp_path / "out" / MEASUREMENTS_CSV)
    assert set(found.subject) == {"P9"}


@pytest.fixture
def begun(ran: Ran, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run in another folder, held while it computes the only missing analysis."""
    missing = max(stamps(ran.store, RECORD))
    for attempt in range(5):  # on a loaded machine the analysis may end before it is seen
        out = tmp_path / f"out_{attempt}"
        shutil.copytree(ran.store, out / STORE, ignore=shutil.ignore_patterns(missing, SLOPES))
        command = [sys.executable, "-m", "kneebox", "study", "run", str(ran.manifest), str(out), *OPTIONS]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            AS_IN_A_TERMINAL + command,
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            wait_until(partial(_computes, out, missing), seconds=120, what="an analysis that has begun")
            for pid in children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            if process.poll() is None and not (out / STORE / missing / RECORD).exists():
                yield process, out
                return
        finally:
            process.kill()
            process.wait()
    pytest.fail("no run was seen while it computed")


def _computes(out: Path, missing: str) -> bool:
    """Whether the missing analysis has begun; it may have ended."""
    folder = out / STORE / missing
    return (folder / KEPT_FOLDER / "work").exists() or (folder / RECORD).exists()


def test_a_killed_run_is_continued_without_a_trace_of_the_kill(
    ran: Ran, begun: tuple[subprocess.Popen[str], Path]
) -> None:
    process, out = begun
    workers = children(process.pid)
    process.kill()
    process.wait()
    assert workers
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not any(alive(pid) for pid in workers), what="the end of the processes of a killed run")
    kept = stamps(out / STORE, RECORD)
    assert len(kept) < COMPLETE - 1
    assert run(ran.manifest, out) == 1
    assert tables(out) == tables(ran.out)
    assert kept.items() <= stamps(out / STORE, RECORD).items()


def test_ctrl_c_stops_at_once_writes_the_tables_and_says_that_it_continues(
    begun: tuple[subprocess.Popen[str], Path],
) -> None:
    process, out = begun
    workers = children(process.pid)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert time.monotonic() - started < 30  # on a loaded machine
    assert "INTERRUPTED: stopped; the same call continues from here" in errors
    assert "Traceback" not in errors
    wait_until(lambda: not any(alive(pid) for pid in workers), what="the end of the processes of a stopped run")
    rows = pd.read_csv(out / ROWS_CSV, keep_default_na=False)
    assert "waiting" in set(rows.state)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()] + [
        int(word)
        for task in Path(f"/proc/{pid}/task").iterdir()
        if task.name != str(pid)
        for word in (task / "children").read_text(encoding="ascii").split()
    ]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False


def test_a_row_that_another_run_computes_is_left_to_it(ran: Ran, tmp_path: Path) -> None:
    def task(store: Path) -> AnalysisTask:
        return AnalysisTask(
            row=2,
            scan=None,
            labels=ran.manifest.with_name("v0.nrrd"),
            options={"perform_nsm": False},
            resources=Resources(),
            store=store,
        )

    address = analyse(task(ran.store)).address
    with AnalysisFolder(tmp_path, address).hold() as held:
        assert held
        assert analyse(task(tmp_path)).state is State.ELSEWHERE
    assert not (tmp_path / address / RECORD).exists()


def test_a_process_that_is_killed_is_replaced() -> None:
    processes = Processes(1)
    try:
        with pytest.raises(ProcessLost):
            processes.submit(Call(os._exit, 9)).result(60)
        assert processes.submit(Call(abs, -3)).result(60) == 3
        with pytest.raises(OutOfMemory):
            processes.submit(Call(bytearray, 1 << 62)).result(60)
    finally:
        processes.close()
