"""The application: guard, routes, static files, answers to errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from doubleread import __version__, model_file
from doubleread.errors import UserError
from doubleread.files import hash_of
from doubleread.report import script
from doubleread.server import interface, model_routes, pages
from doubleread.server.context import Context
from doubleread.server.guard import Allowed, Guard, protected
from doubleread.server.jobs import Jobs

KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
OURS = ("app.js", "site.css", "htmx.min.js", "sse.min.js")


def create_app(
    root: Path, allowed: Allowed, *, studies_folder: Path | None = None, model: Path | None = None
) -> FastAPI:
    """Return the application over the store in `root`; files of `studies_folder` can be started from its pages.

    `model` is a saved model that images can be sent to.

    Raises:
        UserError: the model cannot be read.
    """
    context = Context(
        root=root, studies_folder=studies_folder or Path(), jobs=Jobs(root), token=allowed.token is not None
    )
    if model is not None:
        context.model, context.document = model, model_file.load_model(model).document.model_dump(mode="json")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        context.end_processes()
        context.jobs.close()

    app = FastAPI(
        title="doubleread",
        version=__version__,
        description="Controlled comparison of image classifiers. For research and teaching only; not a medical device.",
        lifespan=lifespan,
        # the pages of documentation load scripts from elsewhere
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.include_router(interface.router)
    app.include_router(model_routes.router)
    app.include_router(pages.router)
    app.add_api_route("/static/{name}", static_file, include_in_schema=False)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(Guard, allowed=allowed)
    return app


@cache
def static_texts() -> dict[str, str]:
    """Return the scripts and styles of the pages, by name."""
    here = files("doubleread.server") / "static"
    mine = {name: (here / name).read_text(encoding="utf-8") for name in OURS}
    theirs = {name: script.template_text(name) for name in ("style.css", "charts.js")}
    return {**mine, **theirs, "plotly.min.js": script.chart_library()}


@cache
def _tag(name: str) -> str:
    return f'"{hash_of(static_texts()[name])[:16]}"'


def static_file(name: str, request: Request) -> Response:
    """Answer with a script or a style."""
    texts = static_texts()
    if name not in texts:
        raise HTTPException(404, "no such file")
    headers = {"etag": _tag(name), "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == _tag(name):
        return Response(status_code=304, headers=headers)
    return Response(texts[name], media_type=KINDS[name.rpartition(".")[2]], headers=headers)


async def _refused(request: Request, error: Any) -> Response:
    return _answer(request, error.status_code, str(error.detail))


async def _unfit(request: Request, error: Any) -> Response:
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    return _answer(request, 422, said)


async def _user_error(request: Request, error: Any) -> Response:
    return _answer(request, 400, str(error))


async def _broken(request: Request, error: Any) -> Response:
    # this one is given outside the guard, and the error goes on to the server's log
    found = _answer(request, 500, f"{type(error).__name__}; the terminal of the server says more")
    found.raw_headers = protected(found.raw_headers)
    return found


def _answer(request: Request, status: int, text: str) -> Response:
    if request.url.path.startswith(("/api/", "/healthz", "/model", "/predict", "/explain")):
        return JSONResponse({"detail": text}, status)
    page = request.app.state.context.render("error.html", status=status, text=text)
    page.status_code = status
    return page
