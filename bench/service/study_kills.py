"""A study whose workers, work-horses, Valkey and whole hosts are killed: no row lost or doubled, equal tables."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil
import redis
import SimpleITK as sitk

from bench.service.figures import Figure
from bench.service.inside import Inside
from bench.service.site import ROOT, Site, running_site, wait_for
from pipeline.anatomy import Structure
from studies.store import RECORD

KILLS: Final = 50
ROWS: Final = 24
WORKERS: Final = 2
LONGEST_S: Final = 3600.0
LONGEST_PAUSE_S: Final = 4.0
WORKER, HORSE, QUEUE, HOST, ALL = "worker", "work-horse", "Valkey", "host", "Valkey and host"
TARGETS: Final = (WORKER, QUEUE, HOST, WORKER, QUEUE, WORKER, HOST, QUEUE, ALL, HORSE)
"""HOST: all workers with their work-horses at once, as a power cut. HORSE is rare: a row whose process is killed three
times while its worker lives is listed as failed, by design."""

THINNED: Final = 3
"""Every third voxel of the reference knee: a row takes seconds."""


def figures(*, short: bool) -> list[Figure]:
    """50 kills in a study of 24 rows; `short`: 5 kills in a study of 4 rows."""
    kills, rows = (5, 4) if short else (KILLS, ROWS)
    with tempfile.TemporaryDirectory(prefix="knee-study-") as name:
        folder = Path(name)
        manifest = _write_rows(folder / "scans", rows)
        undisturbed = _undisturbed(manifest, folder / "out")
        with running_site(STUDY_DATA_DIRS=str(folder / "scans")) as site:
            storm = _Storm(site)
            study = storm.begin(manifest)
            with _published(site) as stamps:
                storm.rage(study, kills)
                storm.wait_for_the_end(study)
            state = storm.state(study)
            place = site.folder / "studies" / study
            tables = {path.name: path.read_bytes() for path in (place / "tables").iterdir()}
            lines = [json.loads(line) for line in (place / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    computed = Counter(line["row"] for line in lines if line.get("computed"))
    doubled = sum(count > 1 for count in computed.values()) + sum(len(seen) > 1 for seen in stamps.values())
    different = [name for name, content in undisturbed.items() if tables.get(name) != content]
    struck = ", ".join(f"{number} x {target}" for target, number in sorted(storm.struck.items()))
    lost = rows - state["complete"]
    return [
        Figure(
            bar=f"{kills} kills during a study of {rows} rows: 0 lost",
            measured=f"{lost} lost, {state['failed']} failed ({struck}; {storm.seconds:.0f} s)",
            met=lost == 0 and sum(storm.struck.values()) == kills,
        ),
        Figure(
            bar="0 doubled",
            measured=f"{doubled} ({len(stamps)} analyses, {sum(computed.values())} computed)",
            met=doubled == 0 and len(stamps) == rows,
        ),
        Figure(
            bar="all tables have the bytes of an undisturbed run",
            measured=f"{len(undisturbed) - len(different)} of {len(undisturbed)} {' '.join(different)}".strip(),
            met=not different,
        ),
    ]


class _Storm:
    """A service whose processes are killed and started again. struck: target -> kills; seconds: of all of it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.struck: Counter[str] = Counter()
        self.seconds = 0.0
        self._queue = site.start_queue()
        site.environment["REDIS_URL"] = site.queue_url
        self._workers = [site.start_worker() for _ in range(WORKERS)]
        site.start_api()
        self._client = httpx.Client(base_url=site.url, timeout=60)

    def begin(self, manifest: Path) -> str:
        """The id of a study that runs."""
        values = {
            "name": "storm",
            "manifest": manifest.read_text(encoding="utf-8"),
            "folder": manifest.parent.name,
            "options": {"perform_nsm": False},
        }
        answer = self._client.post("/studies", json=values).raise_for_status()
        study = str(answer.json()["id"])
        wait_for(lambda: self.state(study)["phase"] == "checked", 300, "the check")
        self._client.post(f"/studies/{study}/start", json={"accepted": []}).raise_for_status()
        return study

    def state(self, study: str) -> dict[str, Any]:
        """Of the study; of a killed queue, when it answers again."""
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                return dict(self._client.get(f"/studies/{study}").raise_for_status().json())
            if time.monotonic() > deadline:
                raise TimeoutError("the REST server does not answer")
            time.sleep(0.2)

    def rage(self, study: str, kills: int) -> None:
        """Kill and start again, at random times, until the kills are used up or the study has ended."""
        dice = random.Random(11)  # noqa: S311 -- not used for secrets
        begun = time.monotonic()
        for target in cycle(TARGETS):
            if sum(self.struck.values()) >= kills or self.state(study)["phase"] == "complete":
                break
            time.sleep(dice.uniform(0.3, LONGEST_PAUSE_S))
            if self._kill(target):
                self.struck[target] += 1
            self._restart()
        self.seconds = time.monotonic() - begun

    def wait_for_the_end(self, study: str) -> None:
        wait_for(lambda: self.state(study)["phase"] == "complete", LONGEST_S, "the end of the study")

    def _kill(self, target: str) -> bool:
        """Whether there was something to kill."""
        victims = []
        for index, worker in enumerate(self._workers):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(worker.pid)
                horses = process.children(recursive=True)
                if target in (HOST, ALL):
                    victims += [process, *horses]
                elif target == WORKER and index == 0:
                    victims.append(process)
                elif target == HORSE and index == 0:
                    victims += horses
        if target in (QUEUE, ALL):
            victims.append(psutil.Process(self._queue.pid))
            victims += psutil.Process(self._queue.pid).children(recursive=True)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        return bool(victims)

    def _restart(self) -> None:
        if not self._answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._queue.wait(5)
            self._queue = self._site.start_queue()
        self._workers = [worker if worker.poll() is None else self._site.start_worker() for worker in self._workers]

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, FileNotFoundError):
            return bool(Inside(self._site).client.ping())
        return False


@contextlib.contextmanager
def _published(site: Site) -> Iterator[dict[str, set[int]]]:
    """Address -> every time at which its analysis was seen to be complete."""
    import threading

    seen: dict[str, set[int]] = {}
    done = threading.Event()

    def watch() -> None:
        last = False
        while not last:
            last = done.is_set()
            for path in (site.folder / "analyses").glob(f"*/{RECORD}"):
                with contextlib.suppress(FileNotFoundError):
                    seen.setdefault(path.parent.name, set()).add(path.stat().st_mtime_ns)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _write_rows(folder: Path, rows: int) -> Path:
    """Label maps that differ in a few voxels of cartilage: two visits of each subject. Returns the manifest."""
    folder.mkdir(parents=True)
    image = sitk.ReadImage(str(ROOT / "models" / "reference_knee" / "labels.nrrd"))[::THINNED, ::THINNED, ::THINNED]
    labels = sitk.GetArrayFromImage(image)
    plate = np.argwhere(labels == Structure.FEMORAL_CARTILAGE)
    lines = ["labels,subject,visit,numbering"]
    for row in range(rows):
        other = labels.copy()
        other[tuple(plate[7 * row : 7 * row + 5].T)] = 0
        changed = sitk.GetImageFromArray(other)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(folder / f"k{row:03d}.nrrd"), useCompression=True)
        lines.append(f"k{row:03d}.nrrd,S{row // 2:02d},V{row % 2:02d},canonical")
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _undisturbed(manifest: Path, out: Path) -> dict[str, bytes]:
    """The tables of the command line."""
    command = [sys.executable, "kneebox.py", "study", "run", str(manifest), str(out), "--no-nsm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return {
        path.name: path.read_bytes()
        for path in out.iterdir()
        if path.suffix in (".csv", ".parquet", ".txt", ".json") and path.name != "digests.json"
    }
