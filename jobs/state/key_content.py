"""Content of keys in Redis as JSON values: in contrast to Redis's own dumps, other versions of the server read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import redis

_READ: Final[dict[str, Callable[[Any, str], Any]]] = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: sorted(client.smembers(key)),
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: dict(client.zrange(key, 0, -1, withscores=True)),
}

_WRITE: Final[dict[str, Callable[[Any, str, Any], object]]] = {
    "string": lambda pipe, key, content: pipe.set(key, content),
    "list": lambda pipe, key, content: pipe.rpush(key, *content),
    "set": lambda pipe, key, content: pipe.sadd(key, *content),
    "hash": lambda pipe, key, content: pipe.hset(key, mapping=content),
    "zset": lambda pipe, key, content: pipe.zadd(key, content),
}


def read_keys(client: redis.Redis, patterns: Iterable[str]) -> list[dict[str, object]]:
    """Every key that matches: name, type, content, and milliseconds until it expires (None: never)."""
    found: list[dict[str, object]] = []
    for key in sorted({key for pattern in patterns for key in client.scan_iter(pattern, count=500)}):
        kind: Any = client.type(key)
        expiry: Any = client.pttl(key)
        if kind in _READ:
            content = _READ[kind](client, key)
            found.append(
                {"key": key, "type": kind, "content": content, "expires_in_ms": expiry if expiry >= 0 else None}
            )
    return [entry for entry in found if entry["content"]]


def write_keys(client: redis.Redis, entries: Iterable[dict[str, object]]) -> None:
    """Write what `read_keys` returned, in one transaction; existing keys are replaced."""
    pipe = client.pipeline(transaction=True)
    for entry in entries:
        key, expiry = str(entry["key"]), entry["expires_in_ms"]
        pipe.delete(key)
        _WRITE[str(entry["type"])](pipe, key, entry["content"])
        if isinstance(expiry, int):
            pipe.pexpire(key, expiry)
    pipe.execute()
