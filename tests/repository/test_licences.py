"""Licences of the packages that the product needs, and their versions in requirements.lock."""

from __future__ import annotations

import re

import pytest
from packaging.utils import canonicalize_name

from bench.licences import ALLOWED, ROOT, Kind, Package, packages


def test_no_package_of_the_product_is_under_the_gpl_without_a_reason() -> None:
    found = packages()
    assert len(found) > 80
    assert [package.name for package in found if not package.accepted] == []
    assert {package.name for package in found if package.kind is Kind.STRONG} == set(ALLOWED), "no longer needed"


def test_every_package_of_the_product_is_pinned_as_it_is_installed() -> None:
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    direct = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {canonicalize_name(name): version for name, version in (*lines, *direct)}
    installed = {package.name: package.version for package in packages()}
    assert installed == {name: pinned.get(name) for name in installed}


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("MIT", Kind.PERMISSIVE),
        ("MPL-2.0 AND MIT", Kind.WEAK),
        ("GNU Lesser General Public License v3 (LGPLv3)", Kind.WEAK),
        ("GNU General Public License v3 (GPLv3)", Kind.STRONG),
        ("AGPL-3.0-only", Kind.STRONG),
        ("GPL-2.0-or-later OR Apache-2.0", Kind.PERMISSIVE),
        ("", Kind.UNKNOWN),
    ],
)
def test_a_licence_is_recognised(licence: str, kind: Kind) -> None:
    assert Package(name="x", version="1", licence=licence).kind is kind
