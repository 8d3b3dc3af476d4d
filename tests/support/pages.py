"""User actions on a page: drop a file, wait for a viewer."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def zero_image() -> bytes:
    """A readable NIfTI of 16 x 16 x 16 zeros."""
    image = nib.Nifti1Image(np.zeros((16, 16, 16), dtype=np.int16), np.eye(4))
    return gzip.compress(image.to_bytes())


def drop(page: Page, name: str, content: bytes) -> None:
    """Select one file on the page, as with the file dialog."""
    page.locator("input[data-part=files]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def ready(page: Page, viewer: Locator) -> Locator:
    """Wait until a viewer shows its content."""
    from playwright.sync_api import expect

    expect(viewer).to_have_attribute("data-state", "ready", timeout=60_000)
    return viewer
