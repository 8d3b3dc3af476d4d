"""Fixtures for the tests of the service: a real Valkey, worker and REST server as processes on a separate data
directory. Tests that do not use them do not start them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from xdist.scheduler import LoadFileScheduling

from tests.support.browser import CHROMIUM_ARGS, Product, opened, require_chromium
from tests.support.processes import DATA_DIR, free_port, running, wait_until
from tests.support.rest_client import answers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""For child processes too: a second thread would use CPU time only to wait for a core. The imports above must not load
numpy, which reads it once.
"""


USE_THE_PRODUCT = frozenset({"accessibility", "docs_page", "idle", "story", "studies", "upload", "versions"})
"""The files of tests/browser with the fixture `product`."""


class OneProduct(LoadFileScheduling):
    """Distributes tests by file; the files of USE_THE_PRODUCT count as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "tests/browser" if Path(file).stem.removeprefix("test_") in USE_THE_PRODUCT else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Test files run in parallel; those that use the complete product run in one process, so that it starts once."""
    return OneProduct(config, log)


def pytest_sessionfinish() -> None:
    """Remove the files of the tests."""
    shutil.rmtree(DATA_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """URL of a Valkey server, started as by the product."""
    from jobs import embedded
    from jobs.errors import QueueUnavailable
    from jobs.state.queue import AnalysisQueue, queue_errors

    def answers() -> bool:
        with contextlib.suppress(QueueUnavailable), queue_errors():
            return AnalysisQueue(url).ping()
        return False

    command, url = embedded.configure(DATA_DIR / "valkey")
    with running(command, DATA_DIR / "valkey.log"):
        wait_until(answers, what="Valkey")
        yield url


@pytest.fixture
def redis_client(valkey: str):
    """A client with str responses on an empty store (running workers stay registered)."""
    from jobs.state.queue import text_client
    from jobs.state.storage import Storage

    client = text_client(valkey)
    for key in client.scan_iter():
        if not key.startswith(("rq:worker", "jobs:worker:")):
            client.delete(key)
    for folder in ("scans", "comparisons", "research"):
        shutil.rmtree(DATA_DIR / folder, ignore_errors=True)
    shutil.rmtree(DATA_DIR / "jobs", ignore_errors=True)  # jobs missing in the store would be queued again from there
    storage = Storage(DATA_DIR)
    if not storage.identity():  # a test has used the queue with another data directory
        storage.write_identity(uuid4().hex)
    return client


@pytest.fixture(scope="module")
def kept_worker(valkey: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Returns the worker process of a file of tests, started again if a test has stopped it."""
    from jobs import service
    from jobs.state.queue import text_client

    client = text_client(valkey)
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as at_the_end:

        def running_worker() -> subprocess.Popen[bytes]:
            if not processes or processes[-1].poll() is not None:
                for key in client.scan_iter("rq:worker*"):
                    client.delete(key)
                started = running([sys.executable, "worker.py"], DATA_DIR / "worker.log")
                processes.append(at_the_end.enter_context(started))
            wait_until(lambda: service.health().worker == "available", what="a worker")
            return processes[-1]

        yield running_worker


@pytest.fixture
def worker(redis_client, kept_worker: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """A running worker process."""
    return kept_worker()


@pytest.fixture(scope="session")
def server(valkey: str) -> Iterator[str]:
    """Base URL of the REST interface, served by uvicorn in a separate process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "rest"]

    with running(command, DATA_DIR / "api.log", API_PORT=str(port)):
        wait_until(lambda: answers(f"{url}/health"), what="the REST server")
        yield url


@pytest.fixture
def api(server: str, redis_client) -> Iterator[httpx.Client]:
    """An HTTP client of the REST server, on an empty store."""
    with httpx.Client(base_url=server, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The complete product: queue, worker, REST and pages on free ports, data in a new folder."""
    require_chromium()
    served = Product(tmp_path_factory.mktemp("served"), free_port(), free_port())
    try:
        served.start()
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def sample_job(product: Product) -> str:
    """A finished analysis of the sample knee in large voxels."""
    from bench.service.inside import small_knee  # loads numpy

    return product.analyse("small_knee.nii.gz", small_knee())


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = require_chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # two shared cores
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, product: Product) -> Iterator[Page]:
    """A tab on the home page, as in a new browser profile."""
    with opened(browser, product.url) as tab:
        tab.goto(product.url)
        yield tab


@pytest.fixture
def nifti(tmp_path: Path) -> bytes:
    """The smallest readable image: 16 x 16 x 16 zeros."""
    import SimpleITK

    path = tmp_path / "test.nii.gz"
    SimpleITK.WriteImage(SimpleITK.Image([16, 16, 16], SimpleITK.sitkInt16), str(path))
    return path.read_bytes()
