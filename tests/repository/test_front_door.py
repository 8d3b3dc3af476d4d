"""The first pages that a visitor reads: short, with links that lead somewhere and versions that agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md", "models/README.md")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def test_the_readme_is_short_and_has_ten_figures() -> None:
    assert len(README.splitlines()) <= 120
    table = README.split("## Ten figures")[1].split("## ")[0]
    assert len(re.findall(r"^\| (?!what|-)", table, re.MULTILINE)) == 10
    assert "Research use only. Not for clinical diagnosis." in README


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_of_the_tree(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not {link for link in LINK.findall(text) if not (ROOT / page).parent.joinpath(link).exists()}


def test_the_two_commands_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)
    assert commands == ["run", "test"]
    assert set(commands) <= set(targets)


def test_citation_changelog_and_package_name_one_version() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r"^(version|date-released|license|cff-version): (\S+)$", citation, re.MULTILINE))
    released = re.search(r"^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert released is not None
    assert (cited["version"], cited["date-released"]) == released.groups()
    assert (cited["version"], cited["license"]) == (package["version"], package["license"])
    assert cited["cff-version"] == "1.2.0"
