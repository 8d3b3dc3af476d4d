"""Work-horse, worker, queue and pairs of them are killed at random times during real analyses under `serve.py`."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TypeVar

import httpx
import psutil
import redis

from bench.service.figures import Figure
from bench.service.inside import Inside, small_knee
from bench.service.site import Site, free_port, running_site, wait_for
from jobs.state.model import Status
from jobs.state.work_lock import Work

LIMIT_S = 30.0
TARGETS = ("work-horse", "worker", "Valkey", "work-horse and worker", "Valkey and worker")
T = TypeVar("T")
WAITING = 2
"""Number of waiting jobs at any time, so that each kill interrupts work."""


def figures(*, short: bool) -> list[Figure]:
    """Run 50 kills; `short`: 4."""
    kills = 4 if short else 50
    longest_s = 3.0 if short else 14.0
    with running_site(APP_PORT=str(free_port())) as site:
        product = _Product(site)
        with _watched_manifests(product) as manifests:
            dice = random.Random(7)  # noqa: S311 -- not used for secrets
            for target in islice(cycle(TARGETS[:1] + TARGETS[2:] if short else TARGETS), kills):
                product.keep_busy(1 if short else WAITING)
                time.sleep(dice.uniform(0, longest_s))
                product.kill(target)
            product.wait_for_the_end(60.0 + 40.0 * len(product.submitted))
        records = product.inside.records()
        counted = int(product.inside.client.get("stats:total_processed") or 0)
    complete = [record for record in records.values() if record.status is Status.COMPLETE]
    ends = Counter(record.error_code or str(record.status) for record in records.values())
    lost = [job_id for job_id in product.submitted if job_id not in records or not records[job_id].status.final]
    lost += [record.id for record in complete if record.id not in manifests]
    twice = sum(len(written) > 1 for written in manifests.values()) + max(0, counted - len(complete))
    slowest = max(product.waits)
    seen = f"{kills} kills, {len(product.submitted)} jobs: {', '.join(f'{n} {end}' for end, n in sorted(ends.items()))}"
    expected = set(ends) <= {"complete", "WORKER_LOST"}
    return [
        Figure(bar="0 jobs lost", measured=f"{len(lost)} ({seen})", met=not lost and expected),
        Figure(
            bar="0 published twice",
            measured=f"{twice} ({len(manifests)} manifests, {counted} counted as processed)",
            met=twice == 0,
        ),
        Figure(
            bar=f"final or running again <= {LIMIT_S:.0f} s after the kill",
            measured=f"maximum {slowest:.1f} s, median {sorted(product.waits)[len(product.waits) // 2]:.1f} s",
            met=slowest <= LIMIT_S,
        ),
    ]


@dataclass
class _Product:
    """A running `serve.py`. waits: seconds from each kill until its jobs were final or running again."""

    site: Site
    submitted: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = psutil.Process(self.site.start("serve.py", log="serve").pid)
        wait_for(self.site.answers, 120, "the REST server")
        self.inside = Inside(self.site)

    def keep_busy(self, waiting: int) -> None:
        """Submit until `waiting` jobs wait."""
        while _when_it_answers(self.inside.queue.length) < waiting:
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.post(f"{self.site.url}/upload", files={"file": ("k.nii.gz", small_knee())}, timeout=60)
                if answer.status_code == httpx.codes.CREATED:
                    self.submitted.append(answer.json()["job_id"])

    def kill(self, target: str) -> None:
        """Kill, and wait until the interrupted jobs have ended or run again."""
        before = _when_it_answers(self.inside.records)
        at_work = [record.id for record in before.values() if record.status is Status.PROCESSING]
        victims = self._victims(target)
        begun = time.monotonic()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        dead = {victim.pid for victim in victims}
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self._continues(at_work, dead), 3 * LIMIT_S, "")
        self.waits.append(time.monotonic() - begun)

    def _victims(self, target: str) -> list[psutil.Process]:
        victims = []
        for child in self.server.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                command = " ".join(child.cmdline())
                if "worker.py" in command:
                    victims += child.children() if "work-horse" in target else []
                    victims += [child] if "worker" in target.replace("work-horse", "") else []
                elif "valkey" in command:
                    victims += [child] if "Valkey" in target else []
        return victims

    def _continues(self, job_ids: list[str], dead: set[int]) -> bool:
        try:
            records = self.inside.records()
        except redis.RedisError:
            return False
        return all(records[job_id].status.final or self._runs(job_id, dead) for job_id in job_ids)

    def _runs(self, job_id: str, dead: set[int]) -> bool:
        record = self.inside.store.load(job_id)
        if record is None or record.status is not Status.PROCESSING:
            return False
        holder = json.loads((self.inside.storage.folder(job_id) / "work.lock").read_text(encoding="utf-8"))
        if holder["pid"] in dead or self.inside.storage.work_lock(job_id).state() is not Work.ALIVE:
            return False
        return psutil.pid_exists(holder["pid"])

    def wait_for_the_end(self, seconds: float) -> None:
        """Wait until every job has ended or the time has elapsed; unfinished jobs then count as lost."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: all(record.status.final for record in self.inside.records().values()), seconds, "")


def _when_it_answers(ask: Callable[[], T]) -> T:
    while True:
        with contextlib.suppress(redis.RedisError):
            return ask()
        time.sleep(0.05)


@contextlib.contextmanager
def _watched_manifests(product: _Product) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """Job ID -> every manifest ever observed in its folder (inode, modification time)."""
    seen: dict[str, set[tuple[int, int]]] = {}
    done = threading.Event()

    def watch() -> None:
        last = False
        while not last:
            last = done.is_set()
            for job_id in list(product.submitted):
                for path in product.inside.storage.folder(job_id).glob("attempts/*/results/manifest.json"):
                    with contextlib.suppress(FileNotFoundError):
                        status = path.stat()
                        seen.setdefault(job_id, set()).add((status.st_ino, status.st_mtime_ns))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
