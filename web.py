"""The pages, with the REST interface below /api and our scripts below /assets: one port for a browser.

`python web.py [ACCESS_LOG]` serves on HOST and APP_PORT. ACCESS_LOG: a file, else standard error. Uploads and viewers
in the browser use the same server as the pages.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from jobs.logs import access_log_in, configure_logging
from jobs.processes import keep_files_private
from jobs.settings import Settings, SettingsError, load_settings
from rest.access_log import AccessLog, named_by_pages
from rest.assets import Assets
from rest.clients import RequestShare
from rest.guard import BESIDE_PAGES
from rest.page_door import PageDoor, path_below
from rest.page_routes import ASSETS, page_routes
from rest.protocol import run_server
from rest.streamlit_adapter import join_logs

ROOT: Final = Path(__file__).resolve().parent


def make_app(settings: Settings) -> Starlette:
    """The ASGI application. Streamlit's options come from .streamlit/config.toml and, where they differ, `settings`."""
    from streamlit import file_util
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
    join_logs()
    from api import app as api

    pages = App(ROOT / "app.py")
    routes = [Mount(BESIDE_PAGES, api), Mount(ASSETS, Assets(ROOT / "ui" / "assets")), Mount("/", pages)]
    shell = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    names = [page.stem for page in (ROOT / "pages").glob("*.py")]
    door = Middleware(PageDoor, settings=settings, pages=names, shell=shell)
    names_of = named_by_pages(page_routes(names), BESIDE_PAGES, partial(path_below, settings.root_path))
    doors = [Middleware(AccessLog, name_of=names_of), door, Middleware(RequestShare)]
    return Starlette(routes=routes, middleware=doors, lifespan=pages.lifespan())


def main() -> int:
    """Serve until a stop signal; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    keep_files_private()
    configure_logging(settings.log_format, access_log_in(sys.argv[1:]))
    run_server(make_app(settings), settings, settings.app_port, pages=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
