"""Files for a deployment: what a service may do, and what an image contains."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
EXPOSURE = 2.5
"""Maximum of `systemd-analyze security`: 0 is closed, 10 is open."""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", ["kneebox.service", "kneebox-worker@.service"])
def test_a_systemd_unit_exposes_little(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEPLOY / unit)]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if "--offline" in answer.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    found = re.search(r"exposure level for \S+: ([\d.]+)", answer.stdout)
    assert found is not None, answer.stderr
    assert float(found[1]) <= EXPOSURE


def test_both_units_have_the_same_restrictions() -> None:
    service, worker = (
        (DEPLOY / name).read_text("utf-8").split("UMask=")[1].split("[Install]")[0]
        for name in ("kneebox.service", "kneebox-worker@.service")
    )
    assert service == worker


def test_pages_start_where_the_home_folder_is_closed() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config["secrets"]["files"] == [], "Streamlit reads secrets in the home folder at the first page, or fails"


def test_an_image_and_the_repository_contain_no_settings_and_no_data() -> None:
    assert {".env", "data", ".git"} <= set((ROOT / ".dockerignore").read_text("utf-8").split())
    assert {"/.env", "/data/"} <= set((ROOT / ".gitignore").read_text("utf-8").split())
