"""Deployment settings: a configuration with unrestricted access stops the start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jobs.settings import Settings, SettingsError, load_settings
from tests.support.processes import DATA_DIR, ROOT

EVERYWHERE = "0.0.0.0"  # noqa: S104 -- a setting, nothing is bound


def start(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"DATA_DIR": str(DATA_DIR / "settings")} | environment
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def settings_with(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    """The settings of a process with these variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings.__wrapped__()  # those of this process stay as they are


@pytest.mark.slow
@pytest.mark.parametrize("command", [("serve.py",), ("-m", "rest"), ("worker.py",)], ids=" ".join)
def test_unrestricted_access_prevents_the_start(command: tuple[str, ...]) -> None:
    answer = start(*command, HOST=EVERYWHERE)
    assert answer.returncode == 2
    assert "HOST" in answer.stderr
    assert "OPEN_ACCESS=1" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("environment", "loopback"),
    [
        ({"HOST": EVERYWHERE, "OPEN_ACCESS": "1"}, False),
        ({"HOST": EVERYWHERE, "API_KEYS": "a-key-of-some-length"}, False),
        ({"HOST": "192.0.2.7", "API_KEYS": "a-key-of-some-length"}, False),
        ({"HOST": "localhost"}, True),
        ({"HOST": "127.0.0.2"}, True),
        ({"HOST": "::1"}, True),
        ({}, True),
    ],
)
def test_valid_settings_are_accepted(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], loopback: bool
) -> None:
    assert settings_with(monkeypatch, **environment).loopback is loopback


@pytest.mark.slow
def test_the_error_names_the_variable_but_no_key() -> None:
    answer = start("serve.py", API_PORT="many", API_KEYS="a-key-of-some-length")
    assert answer.returncode == 2
    assert "API_PORT is 'many'" in answer.stderr
    assert "a-key-of" not in answer.stderr


@pytest.mark.parametrize(
    ("keys", "has_weak_key"), [("short", True), (f"{'a' * 16}, {'b' * 15}", True), ("a" * 16, False)]
)
def test_a_guessable_key_gives_a_warning(monkeypatch: pytest.MonkeyPatch, keys: str, has_weak_key: bool) -> None:
    assert settings_with(monkeypatch, API_KEYS=keys).has_weak_key is has_weak_key


def test_empty_keys_do_not_allow_access(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="API_KEYS is not set"):
        settings_with(monkeypatch, HOST=EVERYWHERE, API_KEYS=" , ")
