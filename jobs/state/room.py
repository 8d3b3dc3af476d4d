"""Reserves disk space for a job before it starts, so that jobs that run at once do not fill the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from jobs.state.lua import read_script
from jobs.state.storage import Storage

if TYPE_CHECKING:
    import redis

RESERVED: Final = "jobs:room"
"""Hash: id of a running job -> reserved bytes."""

BASE_BYTES: Final = 64 * 1024 * 1024
BYTES_PER_VOXEL: Final = 12
"""Measured: 160 x 384 x 384 voxels need 251 MB, 512 x 512 x 400 need 923 MB, which is 8.3 bytes per voxel. The rest is
for unpacking."""

_RESERVE: Final = read_script("reserve_room")


def needed_bytes(voxels: int) -> int:
    """Estimated disk space of an analysis of a scan with this number of voxels (of all echoes; 0 if unknown)."""
    return BASE_BYTES + BYTES_PER_VOXEL * voxels


class Room:
    """The reservations of all workers. Raises redis.RedisError."""

    def __init__(self, client: redis.Redis, storage: Storage) -> None:
        self._client = client
        self._storage = storage
        self._reserve: Any = client.register_script(_RESERVE)

    def reserve(self, job_id: str, needed: int) -> bool:
        """Reserve space for a job; returns whether it is free, besides what other running jobs have reserved."""
        others: Any = self._client.hkeys(RESERVED)
        for other in others:
            if other != job_id and not self._client.exists(f"jobs:alive:{other}"):  # its worker was killed
                self._client.hdel(RESERVED, other)
        return bool(self._reserve(keys=[RESERVED], args=[job_id, needed, self._storage.free_bytes()]))

    def release(self, job_id: str) -> None:
        """End the reservation of a job."""
        self._client.hdel(RESERVED, job_id)

    def can_ever_fit(self, needed: int) -> bool:
        """Whether the disk is large enough at all."""
        return shutil.disk_usage(self._storage.root).total >= needed
