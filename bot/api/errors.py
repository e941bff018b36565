"""What goes wrong, as the callers of each family of routes expect it (specification 000: `{"detail": ...}`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pipeline.errors import FixwrightError, HostError, StaleWrite, StoreUnavailable, UsageError
from pipeline.leaks import clean

log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is no success.

    Args:
        status: of HTTP.
        code: for programs, stable: `NOT_FOUND`.
        message: for people: what is wrong, and what to do about it.
        more: further fields beside the code (`quota_type`).
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, more: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.more, self.headers = dict(more or {}), dict(headers or {})


class PublicErrorDetail(BaseModel):
    """What went wrong."""

    detail: str
    error_code: str


class PublicError(BaseModel):
    """Every error but that of a request that has the wrong form."""

    detail: PublicErrorDetail


def not_found(what: str) -> ApiError:
    """404: also for what is another organization's, of which nothing is told."""
    return ApiError(404, "NOT_FOUND", f"there is no such {what}")


def wrong_state(message: str) -> ApiError:
    """409: it may be asked for, and not now."""
    return ApiError(409, "INVALID_STATE", message)


def no_engine(message: str) -> ApiError:
    """409: what would have to look is not here. Nothing was queued."""
    return ApiError(409, "ENGINE_NOT_AVAILABLE", message)


def unfit(where: str, name: str, message: str, value: object = None) -> RequestValidationError:
    """422, as FastAPI says it of a value that does not fit.

    Args:
        where: `body`, `query` or `path`.
    """
    return RequestValidationError([{"type": "value_error", "loc": (where, name), "msg": message, "input": value}])


RETRY_SECONDS: Final = 5
"""After which who was told that we cannot just now may ask again."""


def body_of(code: str, message: str, more: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The body of an error of this family."""
    return {"detail": {"detail": clean(message, machine=True), "error_code": code, **(more or {})}}


def add_handlers(api: FastAPI) -> None:
    """Every error becomes an answer of the documented shape; a fault of ours tells nothing of the inside."""

    @api.exception_handler(ApiError)
    async def known(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(body_of(error.code, error.message, error.more), error.status, error.headers)

    @api.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        if request.url.path.startswith("/oauth/"):
            wrong = ", ".join(str(one["loc"][-1]) for one in error.errors())
            word = "unsupported_grant_type" if any(one["type"] == "literal_error" for one in error.errors()) else "invalid_request"
            said = {"error": word, "error_description": clean(f"missing or wrong: {wrong}", machine=True)}
            return JSONResponse(said, 400, {"Cache-Control": "no-store"})
        # What was sent is not sent back: it may be long, and it may be a secret.
        return JSONResponse({"detail": [_told(one) for one in error.errors()]}, 422)

    @api.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400 and request.method not in ("GET", "HEAD"):  # FastAPI's own, of a body that is no UTF-8
            return JSONResponse({"detail": [{"loc": ["body"], "msg": "the body is no JSON", "type": "json_invalid"}]}, 422)
        code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
        message = "there is no such address" if error.status_code == 404 else str(error.detail)
        headers = dict(error.headers or {})
        if error.status_code == 405:  # Starlette names the methods of the first route with this path alone
            headers["Allow"] = ", ".join(sorted(_methods(api, request.url.path)))
        return JSONResponse(body_of(code, message), error.status_code, headers)

    @api.exception_handler(FixwrightError)
    async def ours(request: Request, error: FixwrightError) -> JSONResponse:
        status, headers = _status(error)
        log.warning("api.refused", extra={"code": error.code, "path": request.url.path, "status": status})
        message = f"{error.message}{f' ({error.hint})' if error.hint else ''}" if status < 500 else _OUTSIDE.get(status, _FAULT)
        return JSONResponse(body_of(error.code, message), status, headers)

    @api.exception_handler(Exception)
    async def fault(_: Request, __: Exception) -> JSONResponse:  # `bot.api.edge` logs it
        return JSONResponse(body_of("INTERNAL", _FAULT), 500)


def _methods(api: FastAPI, path: str) -> set[str]:
    """What may be asked of a path."""
    parts = path.split("/")
    found = set()
    for known, methods in api.openapi()["paths"].items():
        names = known.split("/")
        if len(names) == len(parts) and all(
            name == part or (name.startswith("{") and part) for name, part in zip(names, parts, strict=True)
        ):
            found |= {method.upper() for method in methods}
    return found or {"GET"}


def _told(one: Mapping[str, Any]) -> dict[str, Any]:
    where = [part if isinstance(part, int) else clean(str(part), machine=True) for part in one["loc"]]
    return {"loc": where, "msg": clean(str(one["msg"]), machine=True), "type": one["type"]}


_FAULT: Final = "a fault of Fixwright; its log names it under the request id of this answer"
_OUTSIDE: Final = {502: "the code host did not do what it was asked", 503: "the database does not answer; try again in a moment"}


def _status(error: FixwrightError) -> tuple[int, dict[str, str]]:
    if isinstance(error, StoreUnavailable):
        return 503, {"Retry-After": str(RETRY_SECONDS)}
    if isinstance(error, StaleWrite):
        return 409, {}
    if isinstance(error, HostError):
        return 502, {}
    return (422, {}) if isinstance(error, UsageError) else (500, {})


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI is to say of the errors of a route."""
    said = {
        401: "The credential is missing, malformed, expired or revoked",
        403: "The credential lacks a scope, or a quota is spent",
        404: "There is no such thing in the organization of the credential",
        409: "Not in this state, or no engine for it",
        413: "The body is too large",
        429: "Too many requests",
        502: "The code host did not do what it was asked",
        503: "Not available just now",
    }
    always = (401, 403, 413, 429, 503)
    return {code: {"model": PublicError, "description": said[code]} for code in sorted({*always, *codes})}
