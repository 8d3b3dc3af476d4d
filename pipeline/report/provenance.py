"""Facts about software and machine of a result, without data that identifies the machine or its user."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

PRODUCT: Final = "kneebox"
ROOT: Final = Path(__file__).resolve().parents[2]
GIT_S: Final = 5.0

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


@cache
def collect_program() -> dict[str, str]:
    """Version of this product if it is installed, and its commit ("-dirty": with changes) if git knows it."""
    try:
        found = {"version": metadata.version(PRODUCT)}
    except metadata.PackageNotFoundError:
        found = {}
    if not (ROOT / ".git").exists():  # git would name the commit of a repository around this folder
        return found
    command = ("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=GIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return found
    return found | {"commit": answer.stdout.strip()}


def collect_packages() -> dict[str, str]:
    """Versions of the installed packages in PACKAGES, and of this product if it is installed."""
    found: dict[str, str] = {}
    for name in (PRODUCT, *PACKAGES):
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
