"""make screenshots: every page in every state, light and dark, wide and narrow, into build/screenshots.

python -m bench.pages.screenshots [--only REGULAR_EXPRESSION] [--into FOLDER]

The states are real: jobs that run, fail and are cancelled, no worker, an unavailable queue.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.pages.camera import Camera
from bench.pages.chromium import launch
from bench.pages.product import PageSite, end, page_site
from bench.pages.screenshot_inputs import Inputs, make_inputs
from bench.service.site import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"
ANALYSIS_MS: Final = 600_000
SLOW_BYTES_S: Final = 400_000
"""Upload speed slow enough for a screenshot."""

TABS: Final = ("3D", "Slices", "Measurements", "Quality", "Shape", "Provenance", "Download")


class Album:
    """One walk through the pages, in the order in which their states can be reached."""

    def __init__(self, site: PageSite, browser: Browser, camera: Camera, inputs: Inputs) -> None:
        self.site, self.camera, self.inputs = site, camera, inputs
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.jobs: dict[str, str] = {}

    def open(self, path: str = "", *, title: str = "") -> Page:
        """Open a page and wait until Streamlit has drawn it."""
        self.page.goto(f"{self.site.pages_url}/{path}")
        heading = self.page.get_by_role("heading", level=1)
        (heading.filter(has_text=title) if title else heading).first.wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until no script runs and no placeholder remains."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(
            "() => !document.querySelector('[data-testid=stSkeleton]') && "
            "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'"
        )
        self.page.wait_for_timeout(300)

    def before_any_job(self) -> None:
        """Pages of a new server without jobs."""
        self.open()
        self.camera.take(self.page, "home-empty")
        self.open("jobs")
        self.page.get_by_text("No analysis was started").wait_for()
        self.camera.take(self.page, "jobs-empty")
        self.open("analysis")
        self.camera.take(self.page, "analysis-no-address")
        self.open(f"analysis?job={UNKNOWN}", title="No such")
        self.camera.take(self.page, "analysis-unknown")
        self.open("methods")
        self.camera.take(self.page, "methods-all")
        for name in ("compare", "statistics"):
            if self.there_is(name):
                self.open(name)
                self.camera.take(self.page, f"{name}-empty")

    def there_is(self, name: str) -> bool:
        """Whether this version has such a page; prints a message if not."""
        found = (ROOT / "pages" / f"{name}.py").exists()
        if not found:
            print(f"  {name}: page does not exist, no picture", flush=True)
        return found

    def uploads(self) -> None:
        """States after a file is dropped."""
        self.drop(self.inputs.broken)
        self.page.locator("[data-part=problem]:not(:empty)").wait_for()
        self.camera.take(self.page, "home-refused")
        for name, path in (
            ("home-found", self.inputs.sample),
            ("home-problems", self.inputs.thick),
            ("home-echoes", self.inputs.echoes),
            ("home-series", self.inputs.series),
        ):
            if not self.camera.wants(name):
                continue
            self.drop(path)
            self.page.locator(".st-key-preflight").wait_for(timeout=ANALYSIS_MS)
            self.settle()
            self.camera.take(self.page, name)
            self.page.get_by_role("button", name="Choose another scan").click()
            self.page.get_by_role("button", name="Choose files").wait_for()
        self.slow_upload()

    def slow_upload(self) -> None:
        """An upload in progress over a slow connection."""
        if not self.camera.wants("home-uploading"):
            return
        self.open()
        line = self.context.new_cdp_session(self.page)
        line.send("Network.enable")
        slow = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": SLOW_BYTES_S}
        line.send("Network.emulateNetworkConditions", slow)
        self.page.locator("input[data-part=files]").set_input_files(str(self.inputs.sample))
        self.page.locator("[data-state=sending]").wait_for()
        self.page.wait_for_timeout(5000)
        self.camera.take(self.page, "home-uploading")
        self.page.get_by_role("button", name="Cancel").click()
        line.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
        line.detach()

    def drop(self, path: Path) -> None:
        """Drop a file on the empty home page."""
        self.open()
        self.page.locator(".upload[data-state=idle]").wait_for()
        self.page.locator("input[data-part=files]").set_input_files(str(path))

    def submit(self, name: str, path: Path) -> str:
        """Queue an analysis and open its page, so that this browser lists it."""
        self.jobs[name] = self.site.submit(path)
        self.open(f"analysis?job={self.jobs[name]}")
        return self.jobs[name]

    def unfinished(self) -> None:
        """Waiting without a worker, running with one, and every final state."""
        for name in ("sample", "noise", "later", "thick", "echoes"):
            self.submit(name, getattr(self.inputs, name))
        cancelled = self.submit("cancelled", self.inputs.sample)
        self.camera.take(self.page, "analysis-waiting")
        self.page.get_by_role("button", name="Cancel analysis").click()
        self.page.get_by_text("was cancelled").wait_for()
        self.camera.take(self.page, "analysis-cancelled")
        assert self.site.status(cancelled)["status"] == "error"
        self.site.start_worker()
        self.open(f"analysis?job={self.jobs['sample']}")
        self.page.get_by_text(re.compile(r"step [2-9] of")).wait_for(timeout=ANALYSIS_MS)
        self.camera.take(self.page, "analysis-running")
        self.site.wait_final(self.jobs["noise"])
        self.open("jobs")
        self.page.get_by_text("Running").first.wait_for(timeout=ANALYSIS_MS)
        self.camera.take(self.page, "jobs-list")
        self.page.get_by_role("button", name=re.compile("Delete")).first.click()
        self.page.get_by_role("dialog").wait_for()
        self.camera.take(self.page, "jobs-delete", whole=False)
        self.open(f"analysis?job={self.jobs['noise']}")
        self.camera.take(self.page, "analysis-failed")
        for job_id in self.jobs.values():
            self.site.wait_final(job_id)

    def finished(self) -> None:
        """Each tab of a finished analysis."""
        self.tabs("sample", "done", TABS)
        self.tabs("thick", "warnings", ("3D", "Quality"))
        self.tabs("echoes", "echoes", ("3D", "Slices", "T2"))

    def tabs(self, job: str, state: str, names: tuple[str, ...]) -> None:
        """Pictures of the given tabs of a job."""
        wanted = [name for name in names if self.camera.wants(f"analysis-{state}-{name.lower()}")]
        if not wanted:
            return
        self.open(f"analysis?job={self.jobs[job]}")
        for name in wanted:
            self.page.get_by_role("tab", name=name, exact=True).click()
            self.settle()
            if name == "3D":
                self.ready(self.page.locator("[data-ok3d]"))
            elif name == "Slices":
                self.ready(self.page.locator("[data-loads][data-position]"))
            elif name == "Quality":
                self.page.get_by_role("img", name=re.compile("outlines")).wait_for()
                self.page.wait_for_timeout(1500)
            self.camera.take(self.page, f"analysis-{state}-{name.lower()}")

    def ready(self, viewer: Locator) -> None:
        """Wait until a viewer shows its data."""
        viewer.and_(self.page.locator("[data-state=ready]")).wait_for(timeout=120_000)
        self.page.wait_for_timeout(800)

    def with_history(self) -> None:
        """Pages that need finished analyses."""
        self.open()
        self.camera.take(self.page, "home-used")
        if self.there_is("compare") and self.camera.wants("compare-two"):
            self.open(f"compare?a={self.jobs['sample']}&b={self.jobs['later']}")
            self.page.locator("[data-ok3d][data-state=ready]").wait_for(timeout=ANALYSIS_MS)
            self.page.wait_for_timeout(1000)
            self.camera.take(self.page, "compare-two")
        if self.there_is("statistics"):
            self.open("statistics")
            self.page.wait_for_timeout(800)
            self.camera.take(self.page, "statistics-filled")

    def outages(self) -> None:
        """States without the queue, then without the server."""
        end(self.site.queue)
        for name, path in (("home", ""), ("jobs", "jobs"), ("analysis", f"analysis?job={self.jobs['sample']}")):
            self.open(path)
            self.page.get_by_text("is not responding").first.wait_for()
            self.camera.take(self.page, f"{name}-queue-away")
        self.open("methods")
        end(self.site.pages)
        self.page.wait_for_timeout(4000)
        self.camera.take(self.page, "methods-server-away", whole=False)


def key_asked(browser: Browser, camera: Camera) -> None:
    """The access key prompt of a server that is reachable from outside."""
    if not camera.wants("key-asked"):
        return
    with page_site(HOST="0.0.0.0", API_KEYS="a-key-for-the-picture") as site:  # noqa: S104 -- requires a key
        site.start_pages()
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.pages_url)
        page.get_by_label("API key").wait_for()
        camera.take(page, "key-asked")
        page.get_by_label("API key").fill("another-key")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("not one of the keys").wait_for()
        camera.take(page, "key-refused")
        context.close()


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages.screenshots", description=__doc__)
    parser.add_argument("--only", default="", metavar="EXPRESSION", help="only pictures with matching names")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "screenshots", metavar="FOLDER")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    begun = time.monotonic()
    camera = Camera(given.into, given.only)
    with tempfile.TemporaryDirectory() as folder, page_site() as site, sync_playwright() as playwright:
        browser = launch(playwright)
        inputs = make_inputs(Path(folder))
        site.start_queue()
        site.start_pages()
        album = Album(site, browser, camera, inputs)
        album.before_any_job()
        album.uploads()
        album.unfinished()
        album.finished()
        album.with_history()
        album.outages()
        key_asked(browser, camera)
        browser.close()
    print(f"{len(camera.taken)} pictures in {given.into}, {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
