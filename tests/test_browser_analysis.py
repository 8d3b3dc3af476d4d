"""The product as its user meets it: `serve.py` started as by `make run`, Chromium in front of it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
START_LIMIT_S = 180.0
ANALYSIS_LIMIT_MS = 420_000.0
"""A shared machine with two cores may take some times the 45 s of a free one."""


def require_chromium() -> str:
    """Path of the browser; without one: skip at home, fail in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium found; get one with: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"serve.py ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            with urlopen(f"{url}/_stcore/health", timeout=2) as answer:  # noqa: S310  our own http address
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"serve.py was not ready after {START_LIMIT_S:.0f} s:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the whole product listens: queue, worker, REST and pages on free ports, data in a new folder."""
    require_chromium()
    folder = tmp_path_factory.mktemp("served")
    app_port = free_port()
    environment = os.environ | {
        "DATA_DIR": str(folder / "data"),
        "APP_PORT": str(app_port),
        "API_PORT": str(free_port()),
        "HOST": "127.0.0.1",
    }
    environment.pop("REDIS_URL", None)
    log = folder / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "serve.py"], cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{app_port}"
    try:
        wait_until_ready(process, url, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A new tab on the home page; in the end nothing may have been asked of any other host."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    hosts: set[str] = set()
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    tab.goto(address)
    yield tab
    context.close()
    assert hosts - {""} == {urlsplit(address).netloc}


def zero_image() -> bytes:
    """A readable NIfTI of 16 x 16 x 16 voxels that holds nothing."""
    image = nib.Nifti1Image(np.zeros((16, 16, 16), dtype=np.int16), np.eye(4))
    return gzip.compress(image.to_bytes())


def finish(page: Page) -> None:
    """Wait until the analysis on this page has ended well."""
    from playwright.sync_api import expect

    done = page.get_by_role("button", name=re.compile("Download results"))
    failed = page.get_by_text(re.compile(r"[A-Z_]{4,} · job "))
    expect(done.or_(failed)).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    assert not failed.is_visible(), page.get_by_role("alert").first.inner_text()


def colours_in(picture: bytes) -> int:
    """Number of clearly different colours of a screenshot: 1 where nothing was drawn."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) // 32
    return len(np.unique(pixels.reshape(-1, 3), axis=0))


def test_the_sample_goes_from_one_click_to_numbers_pictures_and_a_zip(page: Page, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Try the sample knee").click()
    page.wait_for_url(re.compile(r"/analysis\?job=[0-9a-f-]{36}"))
    expect(page.get_by_role("heading", name="sample_knee.nii.gz")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    finish(page)

    figures = page.get_by_test_id("stMetricValue").all_inner_texts()
    assert len(figures) == 4
    for figure in figures:
        millimetres = re.fullmatch(r"(\d\.\d\d) mm", figure.strip())
        assert millimetres, figure
        assert 0.5 < float(millimetres[1]) < 5.0
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    expect(table.locator("td", has_text="Femur, medial weight bearing")).to_be_attached(timeout=30_000)
    title, mean, *_ = table.locator("td").all_text_contents()
    assert title == "Femur, whole plate"
    assert float(mean) == pytest.approx(float(figures[0].split()[0]), abs=0.006)

    overlay = page.get_by_role("img", name=re.compile("outlines"))
    overlay.scroll_into_view_if_needed()
    assert overlay.evaluate("image => image.complete && image.naturalWidth") > 300

    scene = page.locator("#stpyvistaframe")
    scene.wait_for(timeout=120_000)
    scene.scroll_into_view_if_needed()
    scene.content_frame.locator("canvas").first.wait_for(timeout=60_000)
    deadline = time.monotonic() + 30
    while colours_in(scene.screenshot()) < 8 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    assert colours_in(scene.screenshot()) >= 8

    with page.expect_download() as waiting:
        page.get_by_role("button", name=re.compile("Download results")).click()
    assert waiting.value.suggested_filename == "sample_knee_results.zip"
    target = tmp_path / "results.zip"
    waiting.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        name = next(entry for entry in archive.namelist() if entry.split("/")[-1] == "results.csv")
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(name), encoding="utf-8")))
    primary = {
        (row["structure"], row["region"]): float(row["value"])
        for row in rows
        if (row["quantity"], row["method"], row["statistic"]) == ("ThC", "union", "mean") and row["value"]
    }
    assert f"{primary['femoral_cartilage', 'all']:.2f} mm" == figures[0].strip()

    address_of_job = page.url
    page.goto(address_of_job)
    finish(page)
    assert page.get_by_test_id("stMetricValue").all_inner_texts() == figures


def test_an_image_that_holds_nothing_ends_in_a_clear_message(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "test.nii.gz", "mimeType": "application/gzip", "buffer": zero_image()}
    )
    expect(page.get_by_role("button", name=re.compile("Remove"))).to_be_visible()
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url(re.compile(r"/analysis\?job="))
    expect(page.get_by_text(re.compile("EMPTY_IMAGE"))).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    message = page.get_by_role("alert").first.inner_text()
    assert "expected" in message
    assert "/" not in message.replace("and/or", "")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_file_that_is_no_scan_is_refused_where_it_was_chosen(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "scan.nii.gz", "mimeType": "application/gzip", "buffer": b"this is no image"}
    )
    expect(page.get_by_role("button", name=re.compile("Remove"))).to_be_visible()
    page.get_by_role("button", name="Start analysis").click()
    expect(page.get_by_role("alert").first.or_(page.get_by_text(re.compile(r"[A-Z_]{4,} · job ")))).to_be_visible()


def test_an_unknown_address_is_explained(page: Page, address: str) -> None:
    from playwright.sync_api import expect

    page.goto(f"{address}/analysis?job=00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="No such analysis")).to_be_visible()
