"""The pages behind a real nginx with deploy/nginx.conf: at the root, below a path, and with the path removed by nginx.

Ports and certificates are replaced, nothing else. The browser opens pages, uploads a scan, follows its job to the end
and looks at its viewers. It must not ask outside the path, and no request may fail.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from bench.pages.chromium import launch
from bench.pages.product import PageSite, page_site
from bench.service.figures import Figure
from bench.service.inside import small_knee
from bench.service.site import ROOT, free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Response

NAME: Final = "knee.example.org"
KEY: Final = "the-key-of-this-measurement"
CONFIGURATION: Final = ROOT / "deploy" / "nginx.conf"
LIMIT_MS: Final = 60_000.0
SEARCHED: Final = re.compile(r"/analysis/_stcore/(health|host-config)$")
CERTIFICATE: Final = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}")


@dataclass(frozen=True)
class Setup:
    """title; path: ROOT_PATH; removed: whether the proxy removes the path."""

    title: str
    path: str = ""
    removed: bool = False


SETUPS: Final = (
    Setup("at the root"),
    Setup("below /knee", "/knee"),
    Setup("below /knee, removed by the proxy", "/knee", removed=True),
)


def figures(*, short: bool) -> list[Figure]:
    """One line per setup; `short`: the second one only."""
    if shutil.which("nginx") is None:
        return [Figure(bar="behind nginx", measured="not measured: nginx is not installed", met=True)]
    return [_through(setup) for setup in (SETUPS[1:2] if short else SETUPS)]


def _through(setup: Setup) -> Figure:
    from playwright.sync_api import sync_playwright

    port = free_port()
    base = f"https://{NAME}:{port}{setup.path}"
    settings = {"ALLOWED_HOSTS": NAME, "TRUSTED_PROXIES": "127.0.0.1", "API_KEYS": KEY}
    with page_site(**settings, **({"ROOT_PATH": setup.path} if setup.path else {})) as site:
        site.start_queue()
        site.start_pages()
        site.start_worker()
        with _nginx(site, setup, port), sync_playwright() as playwright:
            browser = launch(playwright, f"--host-resolver-rules=MAP {NAME} 127.0.0.1")
            page = browser.new_context(ignore_https_errors=True).new_page()
            wrong: list[str] = []
            page.on("response", lambda response: wrong.extend(_complaints(response, setup.path)))
            page.on("console", lambda line: wrong.extend([line.text] if _is_error(line) else []))
            problem = _use(page, base)
            browser.close()
    found = [*wrong, *([problem] if problem else [])]
    measured = "pages, upload, job, 3D, slices, no failed request" if not found else "; ".join(found)[:400]
    return Figure(bar=f"everything works behind nginx {setup.title}", measured=measured, met=not found)


def _is_error(line: ConsoleMessage) -> bool:
    """Whether a line of the console is an error other than a failed request, which `_complaints` sees."""
    return line.type == "error" and "Failed to load resource" not in line.text


def _complaints(response: Response, path: str) -> Iterator[str]:
    asked = urlsplit(response.url)
    # Streamlit's script does not know its base path: below a page it asks there first, then one level higher
    guess = response.status == 404 and SEARCHED.search(asked.path)
    if response.status >= 400 and not guess:
        yield f"{response.status} {asked.path}"
    if asked.scheme != "blob" and not asked.path.startswith(f"{path}/"):
        yield f"outside the path: {asked.path}"


def _use(page: Page, base: str) -> str:
    """What a user does; returns what did not work, or nothing."""
    from playwright.sync_api import Error

    page.set_default_timeout(LIMIT_MS)
    try:
        page.goto(f"{base}/")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Open").click()
        page.get_by_role("heading", name="Measure a knee MRI").wait_for()
        page.get_by_role("link", name="Methods").first.click()
        page.get_by_role("heading", name="Methods").first.wait_for()
        page.goto(f"{base}/")
        knee = {"name": "knee.nii.gz", "mimeType": "application/octet-stream", "buffer": small_knee()}
        page.locator("input[data-part=files]").set_input_files(knee)  # type: ignore[arg-type] # dictionary as typed
        page.get_by_role("button", name="Start analysis").click()
        page.locator("[data-ok3d][data-state=ready]").wait_for()
        page.get_by_role("tab", name="Slices").click()
        page.locator("[data-loads][data-state=ready][data-position]").wait_for()
        with page.expect_download() as waiting:
            page.get_by_role("link", name=re.compile("Download results")).first.click()
        page.reload()
        page.locator("[data-ok3d][data-state=ready]").wait_for()
    except Error as error:
        return error.message.splitlines()[0]
    return "" if waiting.value.suggested_filename.endswith(".zip") else "no zip"


@contextlib.contextmanager
def _nginx(site: PageSite, setup: Setup, port: int) -> Iterator[None]:
    """Nginx with the configuration of deploy/ in front of a site."""
    folder = Path(tempfile.mkdtemp(prefix="knee-nginx-"))
    subprocess.run(
        [*CERTIFICATE, "-keyout", str(folder / "knee.key"), "-out", str(folder / "knee.pem")],
        check=True,
        capture_output=True,
    )
    text = _below(CONFIGURATION.read_text(encoding="utf-8"), setup)
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/knee", str(folder / "knee")),
        ("127.0.0.1:8501", f"127.0.0.1:{site.pages_port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{site.port}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n"
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    command = ["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: _answers(port, setup.path), 20, "nginx")
        yield
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _below(text: str, setup: Setup) -> str:
    """The configuration with the location of docs/how-to/deploy.md instead of `location /`."""
    if not setup.path:
        return text
    assert "location / {" in text
    text = text.replace("location / {", f"location {setup.path}/ {{")
    return text.replace("http://knee_pages;", "http://knee_pages/;") if setup.removed else text


def _answers(port: int, path: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        address = f"https://127.0.0.1:{port}{path}/_stcore/health"
        return httpx.get(address, headers={"Host": NAME}, verify=False).status_code == 200  # noqa: S501
    return False
