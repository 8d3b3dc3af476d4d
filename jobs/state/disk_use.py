"""Disk space that jobs use. Measured by one worker every few minutes, because it takes long with many jobs."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.state.clock import now
from jobs.state.storage import Storage

if TYPE_CHECKING:
    import redis

INTERVAL_S: Final = 300
_TURN: Final = "jobs:disk_turn"
_MEASURED: Final = "jobs:disk_used"
_BLOCK_BYTES: Final = 512


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """job_bytes: of all job folders. measured_s: when, in seconds since the epoch."""

    job_bytes: int
    measured_s: float


def note_disk_use(client: redis.Redis, storage: Storage) -> None:
    """Measure it, unless another worker has within INTERVAL_S. Raises redis.RedisError."""
    if client.set(_TURN, 1, nx=True, ex=INTERVAL_S):
        use = DiskUse(job_bytes=_used_bytes(storage.jobs_dir), measured_s=now().timestamp())
        client.set(_MEASURED, json.dumps(asdict(use)))


def read_disk_use(client: redis.Redis) -> DiskUse | None:
    """The last measurement; None if there is none. Raises redis.RedisError."""
    text: Any = client.get(_MEASURED)
    try:
        return DiskUse(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _used_bytes(folder: Path) -> int:
    """Disk blocks of all files below a folder; a file with several names counts once."""
    total, shared = 0, set()
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # deleted meanwhile
                facts = (Path(root) / name).lstat()
                if facts.st_nlink > 1:
                    if (facts.st_dev, facts.st_ino) in shared:
                        continue
                    shared.add((facts.st_dev, facts.st_ino))
                total += facts.st_blocks * _BLOCK_BYTES
    return total
