"""A page with one viewer, served as in the product: Streamlit, /assets, and viewer data below /api.

python -m bench.pages.viewer_site VIEWER VIEW_DIR PORT
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from rest.assets import Assets
from rest.files import packed_response

ROOT: Final = Path(__file__).resolve().parent.parent.parent
START_LIMIT_S: Final = 60.0


def make_app(viewer: str, view_dir: Path) -> Starlette:
    """The ASGI application; `viewer` names a page of this folder, {viewer}_page.py."""
    from streamlit.starlette import App

    def view(request: Request) -> Response:
        name = str(request.path_params["name"])
        path = view_dir / f"{name}.gz"
        return packed_response(path, name) if path.is_file() else Response(status_code=404)

    pages = App(Path(__file__).parent / f"{viewer}_page.py")
    routes = [
        Route("/api/jobs/bench/view/{name}", view),
        Mount("/assets", Assets(ROOT / "ui" / "assets")),
        Mount("/", pages),
    ]
    return Starlette(routes=routes, lifespan=pages.lifespan())


@contextlib.contextmanager
def served(viewer: str, view_dir: Path, log: Path) -> Iterator[str]:
    """A context manager with the address of the page in a separate process. Raises RuntimeError with its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "bench.pages.viewer_site", viewer, str(view_dir), str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=stream, stderr=stream
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_LIMIT_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the page did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
                )
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(URLError, OSError), urlopen(f"{url}/_stcore/health", timeout=2) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


if __name__ == "__main__":
    import uvicorn

    application = make_app(sys.argv[1], Path(sys.argv[2]))
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning", ws="websockets-sansio")
