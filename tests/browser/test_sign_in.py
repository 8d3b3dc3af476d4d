"""People sign in and out in a real browser, with a real OpenID Connect provider."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from jobs.state.backend import open_backend
from tests.support.axe import by_day_and_night
from tests.support.finished_jobs import failed_job, finished_job
from tests.support.pages import zero_image
from tests.support.processes import DATA_DIR, running, wait_until
from tests.support.provider import OpenIdProvider, provider
from tests.support.rest_client import answers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OFFERED = ("Share", "Review")
"""Buttons of who may change an analysis."""

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def signed(valkey: str) -> Iterator[OpenIdProvider]:
    with provider(REDIS_URL=valkey) as found:
        for name in ("anna", "ben"):
            found.know(name, name=name.title(), email=f"{name}@hospital.example")
        with running([sys.executable, "web.py"], DATA_DIR / "signed-pages.log", **found.environment):
            wait_until(lambda: answers(f"{found.url}/_stcore/health"), seconds=90, what="the pages")
            yield found


def sign_in(page: Page, name: str) -> None:
    """Press the button, and answer the provider."""
    page.get_by_role("link", name="Sign in").click()
    page.get_by_placeholder("sub").fill(name)
    page.get_by_role("button", name="Authorize").click()


def test_people_sign_in_share_and_sign_out(browser: Browser, signed: OpenIdProvider) -> None:
    """Others see nothing of an analysis before it is shared, and nothing after the link is revoked."""
    from playwright.sync_api import expect

    anna, heading = signed.sign_in("anna"), "right knee.nii.gz"
    job = failed_job(anna.get("/me").json()["person"], heading)
    analysis = f"{signed.url}/analysis?job={job}"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(analysis)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert heading not in page.content()
        sign_in(page, "anna")
        page.wait_for_url(analysis)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.get_by_text("Signed in as Anna")).to_be_visible()
        page.goto(f"{signed.url}/jobs")
        expect(page.get_by_text(heading)).to_be_visible()
        page.goto(analysis)
        page.get_by_role("button", name="Share").click()
        page.get_by_role("button", name="Make a link").click()
        link = page.locator("code", has_text="/link#").inner_text()
        assert link.startswith(f"{signed.url}/link#")
        with browser.new_context() as elsewhere:
            guest = elsewhere.new_page()
            requests: list[str] = []
            guest.on("request", lambda asked: requests.append(asked.url))
            guest.goto(link)
            guest.get_by_role("button", name="Open").click()
            guest.wait_for_url(analysis)
            expect(guest.get_by_role("heading", name=heading)).to_be_visible()
            secret = link.split("#")[1]
            assert not any(secret in asked.partition("#")[0] for asked in requests), "the secret is in no address"
            expect(guest.get_by_role("button", name="Share")).to_have_count(0)
            guest.goto(f"{signed.url}/")
            expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()
            for found in anna.get(f"/jobs/{job}/links").json():
                assert anna.delete(f"/links/{found['id']}").status_code == 204
            guest.goto(analysis)
            expect(
                guest.get_by_role("heading", name="Sign in").or_(guest.get_by_text("No such analysis"))
            ).to_be_visible()
            assert heading not in guest.content()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()  # the provider asks whether to sign out of it too
        page.wait_for_url(f"{signed.url}/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto(analysis)
        sign_in(page, "ben")
        page.wait_for_url(analysis)
        expect(page.get_by_role("heading", name="No such analysis")).to_be_visible()
        assert heading not in page.content()


def test_an_invitation_makes_a_member(browser: Browser, signed: OpenIdProvider) -> None:
    from playwright.sync_api import expect

    anna = signed.sign_in("anna")
    project = anna.post("/projects", json={"name": "Cohort of knees"}).json()["id"]
    link = anna.post(f"/projects/{project}/invitations", json={"role": "reader"}).json()["address"]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Open").click()
        sign_in(page, "ben")
        page.wait_for_url(f"{signed.url}/link")
        page.get_by_role("button", name="Open").click()
        page.wait_for_url(f"{signed.url}/account?project={project}")
        expect(page.get_by_text("Cohort of knees · reader")).to_be_visible()
        assert by_day_and_night(page) == []
        page.get_by_label("What the key is for").fill("nightly script")
        page.get_by_role("button", name="Make a key").click()
        key = page.locator("code", has_text="knee_").inner_text()
        answer = httpx.get(f"{signed.url}/api/me", headers={"x-api-key": key})
        assert answer.json()["name"] == "Ben"
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("nightly script")).to_have_count(0)
        assert httpx.get(f"{signed.url}/api/me", headers={"x-api-key": key}).status_code == 401


def test_an_analysis_is_started_for_a_project_whose_readers_are_offered_no_change(
    browser: Browser, signed: OpenIdProvider
) -> None:
    from playwright.sync_api import expect

    anna = signed.sign_in("anna")
    project = anna.post("/projects", json={"name": "Study of runners"}).json()["id"]
    kept = anna.post("/scans", files={"file": ("knee.nii.gz", zero_image(), "application/octet-stream")}).json()
    done = finished_job(owner=anna.get("/me").json()["person"])
    link = anna.post(f"/jobs/{done}/links").json()["address"]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{signed.url}/?scan={kept['scan_id']}")
        sign_in(page, "anna")
        page.get_by_role("combobox", name="Belongs to").click()
        page.get_by_role("option", name="Study of runners").click()
        page.get_by_role("button", name="Start analysis").click()
        page.wait_for_url(re.compile("job="))
        started = page.url.partition("job=")[2]
        record = open_backend().store.load(started)
        assert record is not None
        assert record.owner == project
        page.goto(f"{signed.url}/analysis?job={done}")
        for name in OFFERED:
            expect(page.get_by_role("button", name=name).first).to_be_visible()
    with browser.new_context() as elsewhere:
        guest = elsewhere.new_page()
        guest.goto(link)
        guest.get_by_role("button", name="Open").click()
        guest.wait_for_url(f"{signed.url}/analysis?job={done}")
        expect(guest.get_by_role("tab", name="Quality")).to_be_visible()
        for name in OFFERED:
            expect(guest.get_by_role("button", name=name)).to_have_count(0)
        guest.get_by_role("tab", name="Download").click()
        expect(guest.get_by_text("Download results").first).to_be_visible()
        expect(guest.get_by_text("Correct in another program")).to_have_count(0)
