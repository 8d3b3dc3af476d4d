"""The complete service behind one address; its parts are started one by one, so that each can be left out."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from bench.service.site import Site, free_port, wait_for

FINAL: Final = ("complete", "error")


class PageSite(Site):
    """A Site with pages. `pages_url` is the address for a browser; the REST interface is below its /api."""

    def __init__(self, **environment: str) -> None:
        self.pages_port = free_port()
        self.pages_url = f"http://127.0.0.1:{self.pages_port}"
        super().__init__(APP_PORT=str(self.pages_port), **environment)
        self.queue: subprocess.Popen[bytes] | None = None
        self.pages: subprocess.Popen[bytes] | None = None

    def start_queue(self) -> subprocess.Popen[bytes]:
        """Start the embedded Valkey and wait until it is ready."""
        self.queue = super().start_queue()
        return self.queue

    def start_pages(self) -> subprocess.Popen[bytes]:
        """Start the server of the pages and wait until it is ready."""
        self.pages = self.start("web.py", log="web")
        wait_for(self._pages_answer, 120, "the pages' server")
        return self.pages

    def _pages_answer(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.pages_url}/_stcore/health", timeout=5).status_code == 200
        return False

    def submit(self, path: Path, **values: str) -> str:
        """Queue an analysis; returns the job ID."""
        with path.open("rb") as stream:
            answer = httpx.post(
                f"{self.pages_url}/api/upload", files={"file": (path.name, stream)}, data=values, timeout=300
            )
        answer.raise_for_status()
        return str(answer.json()["job_id"])

    def status(self, job_id: str) -> dict[str, Any]:
        """The response of /status."""
        answer: dict[str, Any] = httpx.get(f"{self.pages_url}/api/status/{job_id}", timeout=30).json()
        return answer

    def wait_final(self, job_id: str, seconds: float = 600.0) -> str:
        """Wait until a job has ended; returns its status."""
        wait_for(lambda: self.status(job_id)["status"] in FINAL, seconds, f"the end of {job_id}")
        return str(self.status(job_id)["status"])


def end(process: subprocess.Popen[bytes] | None) -> None:
    """Stop one process of a site."""
    if process is not None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def page_site(**environment: str) -> Iterator[PageSite]:
    """A context manager with a PageSite."""
    opened = PageSite(**environment)
    try:
        yield opened
    finally:
        opened.close()
