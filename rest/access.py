"""Access keys for browsers: a key is sent once and exchanged for a cookie derived from it."""

from __future__ import annotations

import time
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from jobs.settings import ACCESS_COOKIE, load_settings
from rest.answers import plain_error
from rest.guard import matches_any, sent_key

WRONG_KEY_PAUSE_S: Final = 1.0
"""Delay that slows down guessing; a thread of the server waits."""

COOKIE_LIFETIME_S: Final = 30 * 86_400


def grant_access(request: Request) -> Response:
    """204 and the cookie for a valid key, otherwise 401."""
    settings = load_settings()
    given = sent_key(Headers(scope=request.scope))
    for key, token in zip(settings.keys, settings.access_tokens, strict=True):
        if matches_any(given, (key,)):
            answer = Response(status_code=204)
            secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
            answer.set_cookie(
                ACCESS_COOKIE, token, max_age=COOKIE_LIFETIME_S, httponly=True, samesite="strict", secure=secure
            )
            return answer
    time.sleep(WRONG_KEY_PAUSE_S)
    return plain_error(
        401, "This is not one of the keys of this server.", "UNAUTHORIZED", "Ask its operator for a key."
    )
