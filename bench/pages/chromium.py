"""The browser for measurements of pages: Debian's Chromium with software GL, so that every machine can repeat them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ARGS: Final = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


def chromium_path() -> str | None:
    """Path of the browser, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def launch(playwright: Playwright, *more: str) -> Browser:
    """Start a new browser, with more arguments. Raises RuntimeError if none is installed."""
    path = chromium_path()
    if path is None:
        raise RuntimeError("no Chromium found; get one with: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=[*ARGS, *more])
