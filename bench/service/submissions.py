"""A submitting process is killed at random times: no record without a queue entry, no entry without a record."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

from bench.service.figures import Figure
from bench.service.inside import Inside, empty_scan
from bench.service.site import ROOT, Site, running_site

LONGEST_S = 3.0
"""A submission takes about 1 s, mostly to check the scan; kills are spread over its whole duration."""


def figures(*, short: bool) -> list[Figure]:
    """Run 60 kills; `short`: 8."""
    kills = 8 if short else 60
    with running_site() as site:
        site.start_queue()
        inside = Inside(site)
        _kill(site, kills)
        records = set(inside.records())
        entries = inside.queue.waiting()
    orphans = len(records - set(entries))
    strays = len(entries) - len(set(entries) & records)
    seen = f"of {kills} kills of a submitting process, {len(records)} jobs submitted"
    return [
        Figure(bar="0 records without queue entry", measured=f"{orphans} {seen}", met=orphans == 0 and bool(records)),
        Figure(bar="0 queue entries without record", measured=f"{strays} {seen}", met=strays == 0 and bool(records)),
    ]


def _kill(site: Site, kills: int) -> None:
    moments = random.Random(1)  # noqa: S311 -- not used for secrets
    scan = site.folder / "scan.nii.gz"
    scan.write_bytes(empty_scan())
    with subprocess.Popen(
        [sys.executable, "-m", "bench.service.submitting", str(scan), "forked"],
        cwd=ROOT,
        env=site.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as warm:
        assert warm.stdin is not None
        assert warm.stdout is not None
        for _ in range(kills):
            warm.stdin.write("\n")
            warm.stdin.flush()
            child = int(warm.stdout.readline())
            time.sleep(moments.uniform(0.02, LONGEST_S))
            os.kill(child, signal.SIGKILL)
            warm.stdout.readline()
        warm.stdin.close()
