"""Identity of the data directory: the file `identity` in it, and the same text in Redis.

Where the volume of DATA_DIR is not mounted, the folder is empty or another one. Without its identity nothing is written
to it, and no job counts as deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from jobs.state.storage import Storage

if TYPE_CHECKING:
    import redis

KNOWN: Final = "jobs:data_dir"


def claim_data_dir(client: redis.Redis, storage: Storage) -> bool:
    """Give a new data directory its identity; returns whether it is the one whose jobs are in this queue.

    Raises redis.RedisError; OSError if a new one cannot be written.
    """
    known: Any = client.get(KNOWN)
    found = storage.identity()
    if known is None:
        if not found:
            found = storage.write_identity(uuid4().hex)
        client.set(KNOWN, found, nx=True)
        known = client.get(KNOWN)
    return bool(found) and found == known


def adopt_data_dir(client: redis.Redis, storage: Storage) -> None:
    """Make the present data directory that of this queue, after it was replaced on purpose."""
    client.set(KNOWN, storage.identity() or storage.write_identity(uuid4().hex))
