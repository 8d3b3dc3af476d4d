"""The pages, with the REST interface below /api and our scripts below /assets: one port for a browser.

`python web.py` serves on HOST and APP_PORT. Uploads and viewers in the browser use the same server as the pages.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from jobs.processes import keep_files_private
from jobs.settings import Settings, SettingsError, load_settings
from rest.assets import Assets
from rest.protocol import GRACE_S, KEEP_ALIVE_S, DeadlineProtocol

ROOT: Final = Path(__file__).resolve().parent

PING_S: Final = 30.0
"""Ping interval for idle pages; a ping has a few bytes."""


def make_app(settings: Settings) -> Starlette:
    """The ASGI application. Streamlit's options come from .streamlit/config.toml and, where they differ, `settings`."""
    from streamlit.starlette import App
    from streamlit.web import bootstrap

    bootstrap.load_config_options(
        {
            "server.address": settings.host,
            "server.port": settings.app_port,
            "server.headless": True,
            "browser.gatherUsageStats": False,
        }
    )
    from api import app as api

    pages = App(ROOT / "app.py")
    routes = [Mount("/api", api), Mount("/assets", Assets(ROOT / "ui" / "assets")), Mount("/", pages)]
    return Starlette(routes=routes, lifespan=pages.lifespan())


def main() -> int:
    """Serve until a stop signal; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keep_files_private()
    uvicorn.run(
        make_app(settings),
        host=settings.host,
        port=settings.app_port,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
        http=DeadlineProtocol,
        ws="websockets-sansio",
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
