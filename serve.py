"""`make run`: the complete product on one machine.

Starts queue, worker, REST interface and pages, restarts them if they end, and stops them together.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from jobs import embedded
from jobs.errors import QueueUnavailable
from jobs.logs import rotate
from jobs.processes import Child, keep_files_private
from jobs.settings import MIN_KEY_LENGTH, PROJECT_ROOT, Settings, SettingsError, load_settings
from jobs.state.queue import AnalysisQueue, queue_errors

START_LIMIT_S = 120.0
POLL_S = 0.2
WORKER_GRACE_S = 1.2
"""RQ treats a second SIGTERM as "also stop the running job" only if it arrives at least 1 s after the first."""


class StartError(Exception):
    """The product cannot be started; the message is for the operator."""


class Supervisor:
    """The processes of the product, in the order in which they start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: list[Child] = []
        self._stop_signals = 0

    def request_stop(self, *_: object) -> None:
        """Signal handler."""
        self._stop_signals += 1

    @property
    def _stopping(self) -> bool:
        return self._stop_signals > 0

    def run(self) -> int:
        """Start everything, keep it running until a stop signal, then stop everything; returns the exit status."""
        started = time.monotonic()
        try:
            if not self._start_all():
                return 0
            print(f"\nReady after {time.monotonic() - started:.0f} s.\n{_addresses(self._settings)}", flush=True)
            while not self._stopping:
                for child in self._children:
                    rotate(child.log_path)
                    if message := child.keep_running():
                        print(message, flush=True)
                rotate(self._access_log)
                time.sleep(POLL_S)
        finally:
            print("Stopping.", flush=True)
            self._stop_all()
        return 0

    def _start_all(self) -> bool:
        for plan in (self._queue, self._worker, self._api, self._pages):
            child = plan()
            if child is None:
                continue
            print(f"Starting {child.name} ...", flush=True)
            self._children.append(child)
            child.start()
            if not self._wait_healthy(child):
                return False
        return True

    def _wait_healthy(self, child: Child) -> bool:
        deadline = time.monotonic() + START_LIMIT_S
        while not self._stopping:
            if not child.running:
                raise StartError(f"{child.name} did not start. The end of its log:\n{child.last_lines()}")
            if child.healthy():
                return True
            if time.monotonic() > deadline:
                message = f"{child.name} did not respond within {START_LIMIT_S:.0f} s"
                raise StartError(f"{message}. The end of its log:\n{child.last_lines()}")
            time.sleep(POLL_S)
        return False

    def _stop_all(self) -> None:
        """Stop the worker first and the queue last, so that final states are written."""
        queue = [child for child in self._children if child.name == "queue"]
        others = [child for child in self._children if child.name != "queue"]
        self._drain([child for child in others if child.name == "worker"])
        for child in others:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + WORKER_GRACE_S
        for child in others:
            child.wait(deadline - time.monotonic())
        for child in others:
            child.signal(signal.SIGTERM)
        _end(others, 8.0)
        for child in queue:
            child.signal(signal.SIGTERM)
        _end(queue, 8.0)

    def _drain(self, workers: list[Child]) -> None:
        """Let a running job finish within DRAIN_SECONDS; a second stop signal ends the waiting."""
        if self._settings.drain_seconds == 0:
            return
        print(f"Waiting for the running job, at most {self._settings.drain_seconds:.0f} s.", flush=True)
        deadline = time.monotonic() + self._settings.drain_seconds
        for child in workers:
            child.signal(signal.SIGTERM)
        while self._stop_signals < 2 and time.monotonic() < deadline and any(child.running for child in workers):
            time.sleep(POLL_S)

    @property
    def _access_log(self) -> Path:
        return self._settings.logs_dir / "access.log"

    def _child(self, name: str, command: list[str], healthy: Callable[[], bool]) -> Child:
        return Child(name, command, self._settings.logs_dir / f"{name}.log", healthy, PROJECT_ROOT)

    def _queue(self) -> Child | None:
        if self._settings.redis_url is not None:
            _check_external_redis(self._settings.redis_url)
            return None
        command, url = embedded.configure(self._settings.valkey_dir)
        return self._child("queue", command, lambda: _queue_answers(url))

    def _worker(self) -> Child:
        url = self._settings.effective_redis_url or ""
        return self._child("worker", [sys.executable, "worker.py"], lambda: _worker_listens(url))

    def _api(self) -> Child:
        host, port = self._settings.host, self._settings.api_port
        return self._child(
            "api", [sys.executable, "-m", "rest", str(self._access_log)], lambda: _answers(host, port, "/health")
        )

    def _pages(self) -> Child:
        host, port = self._settings.host, self._settings.app_port
        return self._child(
            "app", [sys.executable, "web.py", str(self._access_log)], lambda: _answers(host, port, "/_stcore/health")
        )


def _end(children: list[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for child in children:
        if not child.wait(deadline - time.monotonic()):
            child.signal(signal.SIGKILL)
            child.wait(5.0)


def _queue_answers(url: str) -> bool:
    with contextlib.suppress(QueueUnavailable), queue_errors():
        return AnalysisQueue(url).ping()
    return False


def _worker_listens(url: str) -> bool:
    with contextlib.suppress(QueueUnavailable), queue_errors():
        return AnalysisQueue(url).active_workers() > 0
    return False


def _check_external_redis(url: str) -> None:
    try:
        with queue_errors():
            AnalysisQueue(url).ping()
    except QueueUnavailable as error:
        raise StartError(f"REDIS_URL is set, but the server is not responding ({error.__cause__ or error}).") from error


def _reachable(host: str) -> str:
    """The address for connecting from this machine to a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _addresses(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host.replace("0.0.0.0", "localhost")  # noqa: S104
    lines = [
        f"  pages     http://{host}:{settings.app_port}",
        f"  REST      http://{host}:{settings.api_port}/docs",
        f"  data      {settings.data_dir}",
        "Stop with Ctrl-C.",
    ]
    if not settings.loopback and not settings.keys and not settings.sign_in:
        lines.insert(3, f"  WARNING   API_KEYS is not set: anyone who can reach {settings.host} can use this server.")
    if settings.has_weak_key:
        lines.insert(3, f"  WARNING   a key in API_KEYS has fewer than {MIN_KEY_LENGTH} characters and can be guessed.")
    return "\n".join(lines)


def _check_port(host: str, port: int, variable: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(
                f"{variable}: cannot listen on {host}, port {port} ({error.strerror}). "
                f"Stop the program that uses it, or choose another port: {variable}={port + 100} make run"
            ) from error


def _lock(data_dir: Path) -> IO[str]:
    """Allow one server per data directory. The lock ends with the process."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        stream = (data_dir / "serve.lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StartError(f"DATA_DIR: {data_dir} cannot be used ({error.strerror}).") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        stream.close()
        raise StartError(
            f"Already running on {data_dir} (process {owner}). Stop it, or choose another DATA_DIR."
        ) from None
    stream.seek(0)
    stream.truncate()
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


def main() -> int:
    """Returns the exit status: 0 stopped on request, 1 could not start, 2 invalid setting."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    keep_files_private()
    supervisor = Supervisor(settings)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, supervisor.request_stop)
    try:
        with _lock(settings.data_dir):
            _check_port(settings.host, settings.api_port, "API_PORT")
            _check_port(settings.host, settings.app_port, "APP_PORT")
            return supervisor.run()
    except StartError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
