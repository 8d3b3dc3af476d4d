"""The modules of the edit mode in a browser page without a server, for tests and measurements on arrays."""

from __future__ import annotations

import base64
import mimetypes
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bench.pages.viewer_site import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

SITE: Final = "http://edit.invalid"
"""No request leaves the browser."""

_LOAD: Final = """async () => {
  const names = ["between", "brush", "compete", "grow", "history", "lasso", "lattice", "net", "smooth"];
  const found = await Promise.all(names.map((name) => import(`/viewers/edit/${name}.js`)));
  window.edit = Object.assign({}, ...found);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const text = (array) => { let s = ""; for (const k of array) s += String.fromCharCode(k); return btoa(s); };
  const lattice = (shape, spacing) => ({ shape, spacing, strides: [shape[1] * shape[2], shape[2], 1] });
  window.test = { bytes, text, lattice };
}"""

_CORRECT: Final = """([shape, spacing, labels, scan, click]) => {
  const arrays = { labels: test.bytes(labels), scan: test.bytes(scan) };
  return test.text(edit.compete({ shape, spacing, ...arrays, ...click }));
}"""


def load_modules(page: Page) -> None:
    """All exports of the tools as `edit`, and functions that convert arrays as `test`."""
    page.route(f"{SITE}/**", _serve)
    page.goto(f"{SITE}/")
    page.evaluate(_LOAD)


def _serve(route: Route) -> None:
    path = ROOT / "ui" / "assets" / route.request.url.removeprefix(f"{SITE}/")
    if path.is_file():
        route.fulfill(body=path.read_bytes(), content_type=mimetypes.guess_type(path)[0] or "text/plain")
    else:
        route.fulfill(body="<title>Tools of the edit mode</title>", content_type="text/html")


def sent(array: NDArray[np.generic]) -> str:
    """uint8 values in C order, as `test.bytes` reads them."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()


def received(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """What `test.text` has written."""
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).reshape(shape)


def corrected(
    page: Page,
    labels: NDArray[np.uint8],
    scan: NDArray[np.uint8],
    spacing_mm: tuple[float, ...],
    *,
    click: tuple[int, ...],
    label: int,
    positive: bool,
    reach: float,
) -> NDArray[np.uint8]:
    """Labels (z, y, x) of a box after click to correct. scan: 8-bit codes; reach: mm around the click."""
    about = {"click": click, "label": label, "positive": positive, "reach": reach}
    text = page.evaluate(_CORRECT, [labels.shape, spacing_mm, sent(labels), sent(scan), about])
    return received(text, labels.shape)
