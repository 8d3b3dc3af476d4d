"""Deployment settings: a configuration with unrestricted access stops the start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from jobs import settings
from jobs.errors import QueueUnavailable
from jobs.settings import Settings, SettingsError, load_settings
from jobs.state.queue import AnalysisQueue
from pipeline.decoding.protection import Protection
from tests.support.processes import DATA_DIR, ROOT

EVERYWHERE = "0.0.0.0"  # noqa: S104 -- a setting, nothing is bound


def start(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"DATA_DIR": str(DATA_DIR / "settings")} | environment
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
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


@pytest.mark.parametrize(("landlock", "starts"), [(0, False), (1, True)])
def test_a_required_sandbox_that_is_missing_prevents_the_start(
    landlock: int, starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "protection", lambda: Protection.of(landlock=landlock, seccomp=True))
    assert not settings_with(monkeypatch).require_sandbox
    with contextlib.nullcontext() if starts else pytest.raises(SettingsError, match=r"REQUIRE_SANDBOX .*Linux 5\.13"):
        assert settings_with(monkeypatch, REQUIRE_SANDBOX="1").require_sandbox


def test_empty_keys_do_not_allow_access(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="API_KEYS is not set"):
        settings_with(monkeypatch, HOST=EVERYWHERE, API_KEYS=" , ")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hidden-word@127.0.0.1",
        "redis//user:hidden-word@127.0.0.1:6379",
        "redis://:hidden-word/x@127.0.0.1:6379/0",
        "redis://127.0.0.1:hidden-word",
    ],
)
def test_an_address_of_redis_is_never_printed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: ") as caught:
        settings_with(monkeypatch, REDIS_URL=url)
    assert "hidden" not in str(caught.value)


def test_an_address_that_only_redis_py_rejects_is_not_printed_either() -> None:
    with pytest.raises(QueueUnavailable) as caught:
        AnalysisQueue("redis://:hidden-word@127.0.0.1/0?socket_timeout=hidden-word")
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert "hidden" not in repr(Settings(redis_url="redis://:hidden-word@127.0.0.1/0"))


def test_a_server_with_a_public_name_requires_a_key() -> None:
    with pytest.raises(ValidationError, match=r"ALLOWED_HOSTS is 'knee.example'"):
        Settings(allowed_hosts="knee.example")
    named = Settings(allowed_hosts="Knee.example, [2001:db8::1]", api_keys=SecretStr("a-key-of-some-length"))
    assert named.host_names == {"knee.example", "2001:db8::1", "127.0.0.1"}
    assert not named.pages_open
    assert Settings(api_keys=SecretStr("a-key-of-some-length")).pages_open


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "https://knee.example"),
        ("allowed_hosts", "*"),
        ("trusted_proxies", "proxy.example"),
        ("root_path", "knee"),
        ("root_path", "/a/../b"),
    ],
)
def test_a_value_that_would_be_misunderstood_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]
