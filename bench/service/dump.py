"""All content of a Redis server, as bytes."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import redis


def dump(url: str) -> dict[str, bytes]:
    """Key -> its concatenated values; values compressed by RQ are decompressed."""
    client: Any = redis.Redis.from_url(url)
    readers = {
        b"string": lambda key: [client.get(key)],
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: list(client.smembers(key)),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: [part for _, fields in client.xrange(key) for pair in fields.items() for part in pair],
        b"none": lambda _: [],  # deleted in the meantime
    }
    return {
        key.decode("utf-8", "replace"): b"\n".join(_unpacked(readers[client.type(key)](key)))
        for key in client.scan_iter()
    }


def _unpacked(values: list[bytes | None]) -> Iterator[bytes]:
    for value in values:
        if value is None:
            continue
        yield value
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(value)
