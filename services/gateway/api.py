"""The gateway's routes: every public operation passed on to its service, the merged document, and its pages."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles

from services.contract import MAX_BODY_BYTES
from services.gateway import openapi
from services.gateway.auth import MissingScope, NoKey, UnknownKey
from services.gateway.domain.access import ROUTES, Route
from services.gateway.limits import Overloaded, TooManyRequests
from services.gateway.state import State
from services.gateway.upstream import Unavailable
from services.kit import body, observe
from services.kit.body import TooLarge
from services.kit.observe import Endpoint
from services.kit.problems import Problem


class TooSlow(Exception):
    """The body did not arrive in time."""


_UNAUTHORIZED = HTTPStatus.UNAUTHORIZED

PROBLEMS: Mapping[type[Exception], Problem] = {
    NoKey: Problem(_UNAUTHORIZED, "no_key", "Thiếu khoá truy cập; hãy gửi `Authorization: Bearer …`."),
    UnknownKey: Problem(_UNAUTHORIZED, "unknown_key", "Khoá truy cập không tồn tại hoặc đã bị thu hồi."),
    MissingScope: Problem(
        HTTPStatus.FORBIDDEN, "missing_scope", "Khoá truy cập không có quyền thực hiện thao tác này."
    ),
    TooLarge: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "Nội dung gửi lên vượt quá 5 MB."),
    ClientDisconnect: Problem(HTTPStatus.BAD_REQUEST, "body_incomplete", "Nội dung gửi lên bị ngắt giữa chừng."),
    TooSlow: Problem(HTTPStatus.REQUEST_TIMEOUT, "body_too_slow", "Nội dung gửi lên quá chậm."),
    TooManyRequests: Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "Quá nhiều yêu cầu; hãy gửi lại.", 1),
    Overloaded: Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Hệ thống đang bận; hãy gửi lại.", 1),
    Unavailable: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "service_unavailable", "Dịch vụ tạm thời không trả lời; hãy gửi lại.", 1
    ),
}


def install(app: FastAPI, state: State) -> None:
    """Add every public route to `app`."""
    by_path: dict[str, dict[str, Route]] = defaultdict(dict)
    for route in ROUTES:
        by_path[route.path][route.method] = route
    for path, by_method in by_path.items():
        app.router.routes.append(
            StarletteRoute(_any_code(path), observe.named(path, _passed_on(state, by_method)), methods=list(by_method))
        )
    app.router.routes.append(StarletteRoute("/openapi.json", _document(state)))
    app.router.routes.append(StarletteRoute("/docs", _docs))
    app.router.routes.append(StarletteRoute("/", _to_docs))
    # The pages' scripts come with the installation, so that a browser without internet can read them.
    app.mount("/static", StaticFiles(packages=[("fastapi_offline", "static")]), name="static")


def _any_code(path: str) -> str:
    """Let a code in the path hold anything, even a slash: it is the sender's, and opaque."""
    return path.replace("{code}", "{code:path}")


def _passed_on(state: State, by_method: Mapping[str, Route]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        # HEAD asks for what GET would answer; the server leaves the body out.
        method = "GET" if request.method == "HEAD" else request.method
        route = by_method[method]
        client = await state.keyring.client(request.headers.get("authorization"), route.scopes)
        # What opened the route by `rates:public` alone tells what everybody may see.
        everybody = route.scope not in client.scopes
        grant = client.grant.model_copy(update={"public": True}) if everybody else client.grant
        state.limits.spend(grant.province, grant.client)
        size = _announced_size(request)
        with state.limits.request(), state.limits.memory(size):
            content = await _body(request, state.body_seconds) if size else b""
            query = request.scope["query_string"]
            target = request.scope["raw_path"] + (b"?" + query if query else b"")
            return await state.upstreams[route.service].ask(method, target, request.headers.raw, content, grant)

    return endpoint


def _announced_size(request: Request) -> int:
    """Return how many bytes the body may take; one of unknown length may take as many as any.

    :raises TooLarge: the client announces more than a body may be.
    """
    if "transfer-encoding" in request.headers:
        return MAX_BODY_BYTES
    announced = request.headers.get("content-length", "0")
    size = int(announced) if announced.isascii() and announced.isdigit() else MAX_BODY_BYTES
    if size > MAX_BODY_BYTES:
        raise TooLarge
    return size


async def _body(request: Request, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await body.received(request)
    except TimeoutError as error:
        msg = f"the body did not arrive within {seconds:g} seconds"
        raise TooSlow(msg) from error


def _document(state: State) -> Endpoint:
    async def openapi_json(_request: Request) -> Response:
        documents = {name: await upstream.document() for name, upstream in state.upstreams.items()}
        return Response(orjson.dumps(openapi.merged(documents)), media_type="application/json")

    return openapi_json


async def _docs(_request: Request) -> Response:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="motcua",
        swagger_js_url="/static/swagger-ui-bundle.js",
        swagger_css_url="/static/swagger-ui.css",
        swagger_favicon_url="/static/favicon.png",
    )


async def _to_docs(_request: Request) -> Response:
    return RedirectResponse("/docs")
