"""The pages of comparison and statistics in Chromium, on the server that `make run` starts for them."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from jobs.state.backend import open_backend
from pipeline.quantities import DAB, THC_MATCHED
from tests.support.browser import opened
from tests.support.finished_jobs import finished_job
from tests.support.processes import DATA_DIR, free_port, running, wait_until
from tests.support.rest_client import answers
from tests.support.visits import DATES, SLOPE_MM, visit_jobs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

WAIT_MS = 90_000.0


@pytest.fixture(scope="module")
def address(valkey: str) -> Iterator[str]:
    """The address of the pages, with REST and scripts below it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "web.py"], DATA_DIR / "web.log", APP_PORT=str(port)):
        wait_until(lambda: answers(f"{url}/_stcore/health"), seconds=60, what="the pages")
        yield url


@pytest.fixture
def page(browser: Browser, address: str, redis_client: Any) -> Iterator[Page]:
    """A browser page that may access only this server, on an empty store."""
    with opened(browser, address, size=(1280, 1000), timeout_ms=30_000) as tab:
        yield tab


def test_two_analyses_are_chosen_compared_swapped_and_downloaded(address: str, page: Page) -> None:
    first, second = finished_job("right"), finished_job("left")
    page.goto(f"{address}/compare")
    page.get_by_text("Compare two time points of one knee").wait_for(timeout=WAIT_MS)
    for label, job_id in (("First analysis", first), ("Second analysis", second)):
        field = page.get_by_role("combobox", name=label)
        field.fill(f"{address}/analysis?job={job_id}")
        field.press("Enter")
    page.get_by_role("button", name="Compare").click()
    scene = page.locator("[data-ok3d][data-state=ready]")
    scene.wait_for(timeout=WAIT_MS)
    assert page.url.endswith(f"?a={first}&b={second}")
    page.get_by_text("was mirrored to match the first").wait_for()
    page.get_by_text("Fit of the bones").wait_for()
    loads = scene.get_attribute("data-loads")
    page.get_by_text(DAB.short, exact=True).click()  # a rerun, which leaves the scene where it is
    page.get_by_text(DAB.definition).wait_for()
    assert scene.get_attribute("data-loads") == loads == "1"
    link = page.get_by_role("link", name="Download as CSV").get_attribute("href")
    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{address}{link}").text)))
    thickness = {"ThC_matched", "ThC", "ThCtAB", "ThCtAB_CV", "Mav", "Miv", "thin_area"}
    joint = {"joint_space", "joint_space_narrow", "joint_space_ap", "joint_space_ml"}
    areas = {"tAB", "dAB", "cAB", "tAB_outline", "dAB_outline"}
    assert {row["quantity"] for row in rows} == thickness | joint | areas | {"volume", "VCtAB"}
    page.get_by_role("button", name="Swap").click()
    page.wait_for_url(f"**/compare?a={second}&b={first}", timeout=WAIT_MS)
    page.locator("[data-ok3d][data-state=ready]").wait_for(timeout=WAIT_MS)


def test_visits_of_one_knee_are_chosen_dated_followed_and_downloaded(address: str, page: Page) -> None:
    jobs = visit_jobs()
    page.goto(f"{address}/compare")
    page.get_by_text("Visits over time").click(timeout=WAIT_MS)
    field = page.get_by_role("combobox", name="Visits")
    for number in (2, 0, 3, 1):
        field.fill(f"{address}/analysis?job={jobs[number]}")
        field.press("Enter")
    field.press("Tab")  # the open list hides the rest of the page from readers of the screen
    dates = page.get_by_role("textbox", name="Date of ")
    for place, number in enumerate((2, 0, 3)):
        dates.nth(place).fill(DATES[number])
    page.get_by_role("button", name="Follow").click()
    page.get_by_text("Visit 4 of those given has no time").wait_for()
    dates.nth(3).fill(DATES[1])
    page.get_by_role("button", name="Follow").click()
    page.get_by_text("Fit of the bones").wait_for(timeout=WAIT_MS)
    page.locator(".js-plotly-plot").wait_for()
    page.locator("[data-ok3d][data-state=ready]").wait_for(timeout=WAIT_MS)
    legend = page.locator(".key strong")
    assert legend.inner_text() == "Visit 1, year 0.00 (mm)"
    page.get_by_role("slider", name="Thickness").press("End")
    assert legend.inner_text() == "Visit 4, year 4.00 (mm)"
    page.get_by_role("button", name="Play").click()  # from the last to the first
    legend.filter(has_text="Visit 2").wait_for()
    page.get_by_role("button", name="Stop").click()
    assert DATES[0] not in page.url, "an address has only the years between the visits"
    link = page.get_by_role("link", name="Download as CSV").get_attribute("href")
    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{address}{link}").text)))
    slopes = [float(row["slope_per_year"]) for row in rows if row["quantity"] == THC_MATCHED.id]
    assert slopes == pytest.approx([SLOPE_MM] * len(slopes), abs=0.010)
    page.get_by_text("Two analyses", exact=True).click()
    page.get_by_role("combobox", name="First analysis").wait_for()


def test_a_failed_comparison_is_explained(address: str, page: Page) -> None:
    job_id = finished_job("right")
    page.goto(f"{address}/compare?a={job_id}&b={job_id}")
    page.get_by_text("Choose two different analyses").wait_for(timeout=WAIT_MS)
    page.goto(f"{address}/compare?a={job_id}&b=no-such-job")
    page.get_by_text("Second analysis: Job not found").wait_for(timeout=WAIT_MS)


def test_statistics_show_the_work_of_a_server_and_refresh_automatically(
    address: str, page: Page, redis_client: Any
) -> None:
    page.goto(f"{address}/statistics")
    page.get_by_text("No analysis was run on this server in the last 30 days").wait_for(timeout=WAIT_MS)
    page.get_by_text("No worker has sent a heartbeat").wait_for()
    assert page.locator(".js-plotly-plot").count() == 0
    redis_client.rpush("rq:queue:analyses", "a-job-that-waits")
    waiting = page.get_by_test_id("stMetric").filter(has_text="Waiting").get_by_test_id("stMetricValue")
    wait_until(lambda: waiting.inner_text().strip() == "1", seconds=15, what="the number of waiting jobs")
    redis_client.delete("rq:queue:analyses")
    redis_client.lpush("stats:runs:nnunet_fullres", '{"voxels": 0, "seconds": {"read_scan": 1, "segment": 9}}')
    page.reload()
    page.get_by_text("Time by model and step").wait_for(timeout=WAIT_MS)
    page.locator(".js-plotly-plot").first.wait_for()
    page.get_by_text("As a table").last.click()
    assert open_backend().statistics.runs("nnunet_fullres")[0].seconds["segment"] == 9
