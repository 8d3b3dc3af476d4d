"""Format of error responses: {"detail", "error_code", "hint"}, or FastAPI's format for form values."""

from __future__ import annotations

import http
import math
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from jobs import errors, service
from pipeline.errors import AnalysisError, EditTooLarge, InputError, InvalidEdit, KneeError, ModelError, OptionsError
from rest.schemas import ErrorBody, FormErrors

STATUS_OF_ERROR: Final[tuple[tuple[type[KneeError], int], ...]] = (
    (errors.JobNotFound, 404),
    (errors.ScanNotFound, 404),
    (errors.ResultNotFound, 404),
    (errors.StudyNotFound, 404),
    (errors.ProjectNotFound, 404),
    (errors.LinkNotFound, 404),
    (errors.SignInOff, 404),
    (errors.NotAllowed, 403),
    (errors.SignInFailed, 403),
    (errors.StudyConflict, 409),
    (errors.JobNotFinished, 400),
    (errors.JobConflict, 409),
    (errors.UploadTooSlow, 408),
    (errors.UploadTooLarge, 413),
    (errors.StorageFull, 503),
    (errors.ServerBusy, 503),
    (errors.ClientBusy, 429),
    (errors.QueueUnavailable, 503),
    (InvalidEdit, 422),
    (EditTooLarge, 413),
    (InputError, 400),
    (OptionsError, 422),
    (AnalysisError, 500),
    (ModelError, 500),
)
"""Error class -> HTTP status; the first match applies."""

FORM: Final = 422
"""The only status whose `detail` is in FastAPI's format: a list."""

RETRY_AFTER_S: Final = 10
TRY_AGAIN: Final = (429, 503)
"""Statuses with the header Retry-After."""

_MAX_ECHO: Final = 200
"""Maximum number of characters of an invalid value in a response."""

_WHEN: Final = {
    400: "The request, or the file in it, cannot be used; or the job is not complete.",
    401: "API keys are set on this server, or people sign in, and the request has neither.",
    403: "The request comes from a page of another site, or names another host; or its sender may only see this.",
    404: "There is no such job, study, file or route.",
    405: "The route exists, but not for this method.",
    408: "The client sent too slowly.",
    409: "The state of the job or study does not allow this.",
    413: "The body is too large.",
    416: "The file has no such range.",
    422: "A form value is outside its bounds.",
    429: "This address uses its share of the server, or has sent wrong keys; Retry-After states when to retry.",
    503: "The queue, the disk, or a free upload slot is missing; Retry-After states when to retry.",
}


def documented(*codes: int) -> dict[int | str, dict[str, object]]:
    """The error responses of a route for the OpenAPI document, including those of every route."""
    every = sorted({*codes, 400, 401, 403, 429, 503})
    return {code: {"model": FormErrors if code == FORM else ErrorBody, "description": _WHEN[code]} for code in every}


def error_response(error: KneeError) -> JSONResponse:
    """The response for one of our errors."""
    service.refusals.note(error.code)
    if isinstance(error, errors.InvalidForm):
        return JSONResponse({"detail": _writable(error.details)}, 422)
    status = next((code for kind, code in STATUS_OF_ERROR if isinstance(error, kind)), 500)
    body: dict[str, object] = {"detail": error.message, "error_code": error.code, "hint": error.hint}
    if status == FORM:  # an option that does not fit the others or the scan
        body["detail"] = [{"type": "option", "loc": _location(error), "msg": error.message}]
    headers = {"retry-after": str(RETRY_AFTER_S)} if status in TRY_AGAIN else None
    return JSONResponse(body, status, headers)


def _location(error: KneeError) -> list[str]:
    """Of a form value, as FastAPI gives it."""
    return ["body", *(str(value) for name, value in error.facts.items() if name == "option")]


def plain_error(status: int, detail: str, code: str, hint: str = "") -> JSONResponse:
    """The response to a request rejected before routing."""
    service.refusals.note(code)
    return JSONResponse({"detail": detail, "error_code": code, "hint": hint}, status)


def answer_errors(app: FastAPI) -> None:
    """Register handlers so that all errors of the app have this format."""
    app.add_exception_handler(KneeError, _known)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


async def _known(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, KneeError)  # noqa: S101 -- registered only for this type
    return error_response(error)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Errors of the router: unknown route, wrong method, invalid JSON body."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered only for this type
    phrase = http.HTTPStatus(error.status_code).phrase
    answer = plain_error(error.status_code, f"{phrase}.", phrase.upper().replace(" ", "_"), "Routes: see /docs.")
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered only for this type
    service.refusals.note(errors.InvalidForm([]).code)
    return JSONResponse({"detail": _writable(error.errors())}, 422)


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    """A bug; the traceback is in the server's log."""
    return plain_error(500, "Unexpected error.", "INTERNAL_ERROR", "Try again.")


def _writable(value: object) -> Any:
    """A client's value as valid JSON, without NaN, lone surrogates and long texts."""
    match value:
        case dict():
            return {
                str(_writable(str(key))): _writable(item) for key, item in value.items() if key not in ("ctx", "url")
            }
        case list() | tuple():
            return [_writable(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case bool() | int() | float() | None:
            return value
        case _:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            return text[:_MAX_ECHO].encode("utf-8", "replace").decode()
