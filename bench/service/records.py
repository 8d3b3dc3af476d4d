"""A store with a million records: the most frequent requests against an empty one, and what a record costs.

Only records are written, no folders: the folders of as many jobs would need terabytes.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from bench.service.asking import LISTED
from bench.service.figures import Figure
from bench.service.inside import Inside
from bench.service.site import Site, running_site
from bench.service.store_size import Ask, asking, compared, finished_record, get

CHUNK: Final = 5_000
"""Records that are sent at once."""
MOST_BYTES: Final = 4_000
"""Of memory per record: a million in 4 GB."""


def figures(*, short: bool) -> list[Figure]:
    """Run with 1,000,000 records; `short`: 20,000."""
    jobs, questions = (20_000, 60) if short else (1_000_000, 200)
    with running_site() as small, running_site() as full, asking(full) as of_full:
        small.start_queue()
        few, many = finished_record(0), finished_record(0)
        for site, record in ((small, few), (full, many)):
            Inside(site).store.add_ended(record)
        before = _memory(full)
        _fill(full, jobs)
        memory, log = (_memory(full) - before) / jobs, _info(full, "persistence")["aof_current_size"] / jobs
        for site in (small, full):
            site.start_api()
        pairs: dict[str, tuple[Ask, Ask]] = {
            "/status": (get(small, f"/status/{few.id}"), get(full, f"/status/{many.id}")),
            "/stats": (get(small, "/stats"), get(full, "/stats")),
        }
        found = [compared(what, *pair, jobs=jobs, few=1, questions=questions) for what, pair in pairs.items()]
        milliseconds = sorted(of_full("list") for _ in range(9))[4]
    return [
        *found,
        Figure(
            bar=f"the list of the newest {LISTED} jobs of {jobs:,} within 100 ms",
            measured=f"{milliseconds:.0f} ms",
            met=milliseconds <= 100,
        ),
        Figure(
            bar=f"memory per record <= {MOST_BYTES:,} bytes",
            measured=f"{memory:,.0f} bytes of memory, {log:,.0f} bytes in the append-only file",
            met=memory <= MOST_BYTES,
        ),
    ]


def _fill(site: Site, jobs: int) -> None:
    """Write records of ended jobs, older than the one that is asked for."""
    client = Inside(site).client
    template = finished_record(0)
    text, created = template.to_json(), template.created_at
    assert created is not None
    for start in range(0, jobs, CHUNK):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + CHUNK, jobs)):
            job_id = str(uuid4())
            pipe.hset("jobs", job_id, text.replace(template.id, job_id))
            pipe.zadd("jobs:created", {job_id: created.timestamp() - number - 1})
        pipe.execute()


def _memory(site: Site) -> int:
    return _info(site, "memory")["used_memory"]


def _info(site: Site, section: str) -> dict[str, int]:
    found: dict[str, int] = Inside(site).client.info(section)  # type: ignore[assignment]  # also of asynchronous clients
    return found
