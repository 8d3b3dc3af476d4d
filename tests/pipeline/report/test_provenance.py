"""Facts about software and machine."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import tomllib
from pathlib import Path

import numpy as np

from pipeline.report import collect_host, collect_packages, collect_program


def test_versions_are_those_of_the_imported_packages() -> None:
    assert collect_packages()["numpy"] == np.__version__


def test_the_program_is_named_by_its_version_and_commit() -> None:
    root = Path(__file__).resolve().parents[3]
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, encoding="utf-8", check=True
    )
    found = collect_program()
    assert found["version"] == tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert found["commit"].removesuffix("-dirty") == head.stdout.strip()


def test_host_facts_contain_no_machine_user_or_folder_name() -> None:
    text = json.dumps(collect_host())
    assert set(collect_host()) == {"cpu_count", "system", "machine", "python"}
    assert socket.gethostname() not in text
    assert getpass.getuser() not in text
    assert str(Path.cwd()) not in text
