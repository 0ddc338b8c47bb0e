"""Serves the built page: files that never change by name for ever, and the page itself for every address in it."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

_NO_PAGE = "The page is not part of this installation; the API is at /api (see docs/reference/http-api.md).\n"
#: Folder of files whose names hold a hash of their content.
_HASHED = "assets"


def page_router(folder: Path) -> APIRouter:
    """Routes for everything that is neither API nor socket. Must come last."""
    router = APIRouter()
    files = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }

    @router.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request, path: str) -> Response:
        """A file of the page, else the page, which finds out from the address what to show."""
        if path.startswith(("api/", "socket.io/")) or path in ("api", "metrics"):
            raise HTTPException(404, "There is nothing at this address")
        # Looked up by name, never by path: no address reaches another file.
        found = files.get(path)
        if found is not None and path != "index.html":
            lasting = path.startswith(f"{_HASHED}/")
            cache = "public, max-age=31536000, immutable" if lasting else "no-cache"
            return FileResponse(found, headers={"Cache-Control": cache})
        last = path.rpartition("/")[2]
        if path.startswith(f"{_HASHED}/") or "\\" in path or ".." in path.split("/") or last == "favicon.ico":
            raise HTTPException(404, "There is nothing at this address")
        if "index.html" not in files:
            return PlainTextResponse(_NO_PAGE, status_code=404)
        return FileResponse(files["index.html"], headers={"Cache-Control": "no-cache"})

    return router
