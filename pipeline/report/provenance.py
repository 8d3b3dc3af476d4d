"""Facts about the software and the machine that made a result; nothing that names the machine or its user."""

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
"""Distributions that can change a number or a picture in the results."""


def collect_packages() -> dict[str, str]:
    """Version of every distribution of PACKAGES that is installed, and of this product where it is one."""
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
