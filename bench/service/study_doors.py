"""One study through the page, the REST interface and the command line: the same tables.

Each computes all analyses: the study of the page is deleted, with its analyses, before that of REST is made.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from bench.pages.chromium import chromium_path, launch
from bench.pages.product import PageSite, page_site
from bench.service.figures import Figure
from bench.service.site import ROOT, wait_for
from bench.service.study_scans import MANIFEST, write_scans
from studies.tables.names import MEASUREMENTS_PARQUET

SUBJECTS: Final = 20
LONGEST_S: Final = 7200.0
WORKERS: Final = 2
PAGE, REST, COMMAND = "page", "REST", "command line"

Tables = dict[str, bytes]


def figures(*, short: bool) -> list[Figure]:
    """20 subjects with three visits; `short`: two subjects."""
    with tempfile.TemporaryDirectory(prefix="knee-study-") as name, page_site() as site:
        folder = Path(name)
        scans = write_scans(folder / "scans", 2 if short else SUBJECTS)
        site.start_queue()
        site.start_pages()
        site.start_api()
        for _ in range(WORKERS):
            site.start_worker()
        found: dict[str, Tables] = {}
        seconds: dict[str, float] = {}
        with httpx.Client(base_url=site.url, timeout=120) as client:
            if chromium_path() is not None:
                started = time.monotonic()
                study = _by_page(site, scans)
                found[PAGE] = _finished(client, study, len(scans))
                seconds[PAGE] = time.monotonic() - started
                client.delete(f"/studies/{study}").raise_for_status()
            started = time.monotonic()
            study = _by_rest(client, scans)
            found[REST] = _finished(client, study, len(scans))
            seconds[REST] = time.monotonic() - started
        started = time.monotonic()
        found[COMMAND] = _by_command(folder)
        seconds[COMMAND] = time.monotonic() - started
    return [_figure(found, seconds, len(scans))]


def _by_page(site: PageSite, scans: Sequence[Path]) -> str:
    """Drop the scans, check the rows, start; returns the id of the study."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{site.pages_url}/studies")
        page.get_by_label("Files of the scans").set_input_files([str(path) for path in scans])
        page.get_by_text(f"{len(scans)} scans. Read as").wait_for(timeout=600_000)
        page.get_by_label("Name of the study").fill("Doors")
        page.get_by_role("button", name="Check the rows").click()
        page.wait_for_url("**/studies?study=*", timeout=120_000)
        study = page.url.partition("study=")[2]
        page.get_by_role("button", name="Start").click(timeout=600_000)
        page.get_by_role("button", name="Pause").wait_for(timeout=120_000)
        browser.close()
    return study


def _by_rest(client: httpx.Client, scans: Sequence[Path]) -> str:
    rows = []
    for path in scans:
        subject, visit, side = path.name.partition(".")[0].split("_")
        with path.open("rb") as stream:
            answer = client.post("/scans", files={"file": (path.name, stream)})
        answer.raise_for_status()
        rows.append({"scan_id": answer.json()["scan_id"], "subject": subject, "visit": visit, "side": side})
    answer = client.post("/studies", json={"name": "Doors", "scans": rows, "run": True})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _by_command(folder: Path) -> Tables:
    command = [sys.executable, "kneebox.py", "study", "run", str(folder / "scans" / MANIFEST), str(folder / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.suffix in _SUFFIXES}


_SUFFIXES: Final = (".csv", ".parquet", ".txt", ".json")


def _finished(client: httpx.Client, study: str, rows: int) -> Tables:
    """The tables of a study when it is complete."""

    def state() -> dict[str, Any]:
        return dict(client.get(f"/studies/{study}").raise_for_status().json())

    wait_for(lambda: state()["phase"] == "complete", LONGEST_S, "the end of the study")
    if state()["complete"] != rows:
        raise RuntimeError(f"{state()['complete']} of {rows} rows complete: {state()['failures']} {state()['reasons']}")
    answer = client.get(f"/studies/{study}/tables.zip").raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def _figure(found: dict[str, Tables], seconds: dict[str, float], rows: int) -> Figure:
    expected = found[COMMAND]
    different = {
        door: [name for name, content in tables.items() if content != expected.get(name)]
        for door, tables in found.items()
        if door != COMMAND
    }
    missing = [door for door in (PAGE, REST) if door not in found]
    facts = [f"{len(found[REST])} files, {len(expected[MEASUREMENTS_PARQUET]) / 1e3:.0f} kB Parquet"]
    facts += [f"{door} {value:.0f} s" for door, value in seconds.items()]
    facts += [f"{door} differs in {', '.join(names)}" for door, names in different.items() if names]
    facts += [f"{door} not measured: no Chromium" for door in missing]
    return Figure(
        bar=f"{rows} scans through page, REST and command line: the same bytes in all tables",
        measured="; ".join(facts),
        met=not any(different.values()) and not missing,
    )
