"""Names and origins of requests: which are those of this server."""

from __future__ import annotations

import json

import pytest
from starlette.datastructures import Headers

from jobs.settings import Settings
from rest.hosts import MOST_ECHO, foreign_refusal

HOST = "knee.example:8443"
ORIGIN = f"https://{HOST}"
SETTINGS = Settings(allowed_hosts="knee.example", open_access=True)


def refused(method: str = "POST", host: str = HOST, **headers: str | list[str]) -> str | None:
    """The error code of the refusal; None if the request is admitted. Underlines in names stand for hyphens."""
    raw = [("host", host)]
    for name, values in headers.items():
        raw += [(name.replace("_", "-"), value) for value in ([values] if isinstance(values, str) else values)]
    encoded = Headers(raw=[(name.encode(), value.encode()) for name, value in raw])
    answer = foreign_refusal(encoded, method, SETTINGS)
    if answer is None:
        return None
    assert answer.status_code == 403
    return str(json.loads(answer.body)["error_code"])


@pytest.mark.parametrize("host", ["knee.example", "KNEE.example:1", "localhost:8000", "[::1]", "127.0.0.1:80"])
def test_an_own_name_is_admitted(host: str) -> None:
    assert refused("GET", host) is None


@pytest.mark.parametrize("host", ["other.example", "knee.example.other.example", "[", "[::1", "", "192.0.2.1"])
def test_a_foreign_or_invalid_name_is_refused(host: str) -> None:
    for method in ("GET", "POST"):
        assert refused(method, host) == "UNKNOWN_HOST"


def test_a_long_name_is_quoted_in_part() -> None:
    raw = Headers({"host": "a" * 500})
    answer = foreign_refusal(raw, "GET", Settings())
    assert answer is not None
    assert bytes(answer.body).count(b"a" * MOST_ECHO) == 1
    assert b"a" * (MOST_ECHO + 1) not in answer.body


def test_a_change_is_admitted_from_an_own_page_or_from_a_program() -> None:
    assert refused() is None, "a program names no origin"
    assert refused(origin=ORIGIN) is None
    assert refused(origin=ORIGIN.upper()) is None
    assert refused(origin=ORIGIN, sec_fetch_site="cross-site") is None, "the origin is the stronger sign"
    assert refused(referer=f"{ORIGIN}/jobs?job=1", sec_fetch_site="same-origin") is None
    assert refused(sec_fetch_site="none") is None, "typed by the user"


@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "https://knee.example", "null", "https://[", f"ftp://{HOST}", f"//{HOST}", "https:", ""],
)
def test_an_origin_of_another_site_is_refused_for_reading_too(origin: str) -> None:
    for method in ("GET", "POST"):
        assert refused(method, origin=origin) == "CROSS_SITE"
    assert refused(origin=[ORIGIN, origin]) == "CROSS_SITE"
    assert refused(referer=origin) == "CROSS_SITE"
    assert refused("GET", referer=origin) is None, "a link from another site"


def test_what_a_browser_says_about_the_site_counts_for_changes_only() -> None:
    for site in ("cross-site", "same-site", "unknown"):
        assert refused(sec_fetch_site=site) == "CROSS_SITE"
        for method in ("GET", "HEAD", "OPTIONS"):
            assert refused(method, sec_fetch_site=site) is None
