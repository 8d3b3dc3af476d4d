"""Full-page screenshots: light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTHS: Final = (1440, 390)
HEIGHTS: Final = {1440: 900, 390: 844}
LONGEST_PX: Final = 6000
SETTLE_MS: Final = 700
"""Charts and tables are redrawn after a change of width or colours."""

_CONTENT_PX: Final = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  return main ? main.scrollHeight : document.documentElement.scrollHeight;
}"""


class Camera:
    """Writes FOLDER/NAME-SCHEME-WIDTH.png for names that match `wanted`."""

    def __init__(self, folder: Path, wanted: str = "") -> None:
        self._folder = folder
        self._wanted = re.compile(wanted)
        self.taken: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)

    def wants(self, name: str) -> bool:
        """Whether this picture was requested."""
        return self._wanted.search(name) is not None

    def take(self, page: Page, name: str, *, whole: bool = True) -> None:
        """Take all four pictures of the current page. `whole`: the full length; otherwise one screen (dialogs)."""
        if not self.wants(name):
            return
        for scheme, width in combinations():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
            page.wait_for_timeout(SETTLE_MS)
            if whole:
                _make_room(page, width)
            path = self._folder / f"{name}-{scheme}-{width}.png"
            page.screenshot(path=path, animations="disabled")
            self.taken.append(path)
        page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHTS[WIDTHS[0]]})
        page.emulate_media(color_scheme=SCHEMES[0])
        print(f"  {name}", flush=True)


def _make_room(page: Page, width: int) -> None:
    """Resize the window to the height of the page; repeated because the content may grow with the new height."""
    length = HEIGHTS[width]
    for _ in range(3):
        needed = min(LONGEST_PX, int(page.evaluate(_CONTENT_PX)))
        if needed <= length:
            break
        length = needed
        page.set_viewport_size({"width": width, "height": length})
        page.wait_for_timeout(SETTLE_MS)


def combinations() -> Iterator[tuple[Literal["light", "dark"], int]]:
    """Colour scheme and width of each picture of a state."""
    for scheme in SCHEMES:
        for width in WIDTHS:
            yield scheme, width
