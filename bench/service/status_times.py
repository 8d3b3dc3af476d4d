"""Times of /status, asked by a separate process while something else happens."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

import httpx

from bench.service.site import ROOT

KEY: Final = "a-key-for-the-measurement"
"""API key of a measured server."""

ADDRESS: Final = "127.0.0.9"
"""Address from which it asks: another client than the one that is measured."""


class StatusTimes:
    """Ask from entering to leaving; a separate process does not wait for the measuring one.

    waits_ms, failures   afterwards: the times of the answers, and the number of other answers and errors
    """

    def __init__(self, url: str) -> None:
        self.waits_ms: list[float] = []
        self.failures = 0
        self._command = [sys.executable, "-m", "bench.service.status_times", url]

    @property
    def p99_ms(self) -> float:
        """The time that 99 % of the answers did not exceed."""
        return sorted(self.waits_ms)[int(len(self.waits_ms) * 0.99)]

    def __enter__(self) -> StatusTimes:
        self._asking = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self._asking.stdout is not None
        self._asking.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        text, _ = self._asking.communicate("")
        *times, failures = text.split()
        self.waits_ms, self.failures = [float(value) for value in times], int(failures)


def main() -> None:
    """Ask until the input ends; then write the times in ms, and the number of failures."""
    import threading

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    waits: list[float] = []
    failures = 0
    transport = httpx.HTTPTransport(local_address=ADDRESS)
    with httpx.Client(base_url=sys.argv[1], headers={"x-api-key": KEY}, transport=transport, timeout=30) as client:
        client.get("/status/none")
        print("asking", flush=True)
        while not ended.is_set():
            begun = time.perf_counter()
            try:
                failures += client.get("/status/none").status_code != 404
            except httpx.TransportError:
                failures += 1
            waits.append(1000 * (time.perf_counter() - begun))
            time.sleep(0.01)
    print(*waits, failures)


if __name__ == "__main__":
    main()
