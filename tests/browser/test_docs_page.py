"""/docs in a real browser: Swagger UI on the port of the REST interface and below /api of the pages' port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Product, listening, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(params=["rest", "pages"])
def address(request: pytest.FixtureRequest, product: Product) -> str:
    """Where the REST interface is served."""
    return product.api_url if request.param == "rest" else f"{product.url}/api"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened. At the end: no request to another host, no script error, nothing that the policy blocked."""
    requested: list[str] = []
    problems: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(message.text)

    with (
        opened(browser, address, size=(1280, 900)) as page,
        listening(page, console=said, pageerror=lambda error: problems.append(str(error))),
        listening(page, request=lambda request: requested.append(request.url)),
    ):
        page.goto(f"{address}/docs")
        yield page
    origin = urlsplit(address)
    assert f"{address}/openapi.json" in requested
    assert not [url for url in requested if not url.startswith((f"{origin.scheme}://{origin.netloc}/", "data:"))]
    assert not [text for text in problems if "status of 404" not in text]


def operation(page: Page, method: str, path: str) -> Locator:
    """One operation, opened for a request."""
    found = page.locator(f".opblock-{method}").filter(has=page.locator(f'[data-path="{path}"]'))
    found.locator(".opblock-summary-control").click()
    found.get_by_role("button", name="Try it out").click()
    return found


def test_every_route_is_listed_and_health_can_be_requested_from_the_page(page: Page, address: str) -> None:
    from playwright.sync_api import expect

    health = operation(page, "get", "/health")
    document = page.request.get(f"{address}/openapi.json").json()
    listed = page.locator(".opblock-summary-path").evaluate_all("all => all.map((item) => item.dataset.path)")
    assert sorted(set(listed)) == sorted(document["paths"])
    health.get_by_role("button", name="Execute").click()
    answer = health.locator(".live-responses-table tr.response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    assert json.loads(answer.locator("code.language-json").inner_text())["redis"] == "connected"
    expect(health.locator(".request-url")).to_contain_text(f"{address}/health")


def test_a_request_that_changes_something_is_not_refused_as_cross_site(page: Page) -> None:
    from playwright.sync_api import expect

    cancel = operation(page, "post", "/jobs/{job_id}/cancel")
    cancel.get_by_placeholder("job_id").fill("none")
    cancel.get_by_role("button", name="Execute").click()
    answer = cancel.locator(".live-responses-table tr.response")
    expect(answer.locator(".response-col_status")).to_contain_text("404")
    expect(answer).to_contain_text("JOB_NOT_FOUND")
