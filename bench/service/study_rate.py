"""Throughput of a study on two cores, against `xargs -P2 python -m pipeline` on the same scans."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx

from bench.service.figures import Figure
from bench.service.site import ROOT, Site, running_site, wait_for
from bench.service.study_scans import MANIFEST, write_scans

SCANS: Final = 12
PROCESSES: Final = 2
LEAST: Final = 1.0
LONGEST_S: Final = 3600.0


def figures(*, short: bool) -> list[Figure]:
    """12 scans; `short`: 4. Each way is timed once, start of its processes included."""
    number = 4 if short else SCANS
    with tempfile.TemporaryDirectory(prefix="knee-rate-") as name:
        folder = Path(name)
        scans = write_scans(folder / "scans", number, 1)
        alone = _single_runs(scans, folder / "single")
        command = _study(folder)
        service = _service(folder, number)
    load = f"load {os.getloadavg()[0]:.1f}"
    return [
        Figure(
            bar=f"{number} scans as a study, {way}: >= {LEAST} x the rate of xargs -P{PROCESSES}",
            measured=f"{alone / seconds:.2f} x: {seconds:.0f} s, single runs {alone:.0f} s ({load})",
            met=alone >= LEAST * seconds,
            timed=True,
        )
        for way, seconds in ((f"kneebox study run --processes {PROCESSES}", command), ("two workers", service))
    ]


def _single_runs(scans: list[Path], out: Path) -> float:
    started = time.monotonic()
    lines = "\n".join(f"{path} {out / path.name.partition('.')[0]}" for path in scans)
    command = ["xargs", f"-P{PROCESSES}", "-L1", sys.executable, "-m", "pipeline", "--no-nsm"]
    subprocess.run(command, cwd=ROOT, input=lines.encode(), capture_output=True, check=True)
    return time.monotonic() - started


def _study(folder: Path) -> float:
    started = time.monotonic()
    words = [str(folder / "scans" / MANIFEST), str(folder / "out"), "--no-nsm", "--processes", str(PROCESSES)]
    subprocess.run([sys.executable, "kneebox.py", "study", "run", *words], cwd=ROOT, capture_output=True, check=True)
    return time.monotonic() - started


def _service(folder: Path, rows: int) -> float:
    """From the request until the tables are there; workers run already."""
    with running_site(STUDY_DATA_DIRS=str(folder / "scans")) as site:
        site.start_queue()
        site.start_api()
        for _ in range(PROCESSES):
            site.start_worker()
        return _through(site, folder, rows)


def _through(site: Site, folder: Path, rows: int) -> float:
    with httpx.Client(base_url=site.url, timeout=60) as client:
        wait_for(lambda: client.get("/health").json()["worker"] == "available", 120, "workers")
        started = time.monotonic()
        values = {
            "name": "rate",
            "manifest": (folder / "scans" / MANIFEST).read_text(encoding="utf-8"),
            "folder": "scans",
            "options": {"perform_nsm": False},
            "run": True,
        }
        study = client.post("/studies", json=values).raise_for_status().json()["id"]
        wait_for(lambda: client.get(f"/studies/{study}").json()["phase"] == "complete", LONGEST_S, "the study")
        seconds = time.monotonic() - started
        if client.get(f"/studies/{study}").json()["complete"] != rows:
            raise RuntimeError("not every row is complete")
        return seconds
