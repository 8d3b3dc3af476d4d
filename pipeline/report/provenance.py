"""Facts about software and machine of a result, without data that identifies the machine or its user."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Final

PACKAGES: Final = (
    "numpy",
    "scipy",
    "vtk",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "pillow",
    "Jinja2",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "nnunetv2",
    "torch",
)
"""Packages that can affect a number or picture in the results."""


def collect_packages() -> dict[str, str]:
    """Versions of the installed packages in PACKAGES, and of this product if it is installed."""
    found: dict[str, str] = {}
    for name in ("kneebox", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def collect_host() -> dict[str, int | str]:
    """Cores, operating system, processor family and Python: no host name, no user, no path."""
    return {
        "cpu_count": os.cpu_count() or 1,
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
