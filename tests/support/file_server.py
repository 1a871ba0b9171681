"""A real HTTP server on this machine that serves files well or badly, as the first part of the path says.

It is also a proxy: a request with a whole address is answered as if it were for this server.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class FileServer:
    """`with FileServer({"/a/file": b"..."}) as server: server.url`. Ways, put before a file's path:

    `/plain` knows no ranges; `/cut/N` ends every connection after N bytes; `/dying/N` brings N bytes, then only 503;
    `/wrong` gives other bytes; `/short` a text in their place; `/moved` sends on; `/abroad` sends on to `elsewhere`.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.elsewhere = ""
        self.healed = False
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Of each request: the target as it was asked for, and its headers."""
        server = self

        class Handler(_Handler):
            owner = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def ranges(self) -> list[str | None]:
        """What was asked for in each request: None is all of it."""
        return [headers.get("Range") for _, headers in self.requests]

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: FileServer

    def do_GET(self) -> None:
        self.owner.requests.append((self.path, dict(self.headers)))
        path, ways = urlsplit(self.path).path, []
        while path not in self.owner.files:
            way, _, rest = path.removeprefix("/").partition("/")
            if not rest:
                self.send_error(404)
                return
            ways.append(way)
            path = f"/{rest}"
        self._serve(self.owner.files[path], path, ways)

    def _serve(self, data: bytes, path: str, ways: list[str]) -> None:
        way = "" if self.owner.healed else (ways or [""])[0]
        match way:
            case "moved":
                self._send_on(path)
            case "abroad":
                self._send_on(self.owner.elsewhere + path)
            case "wrong":
                self._answer(data[::-1], 0)
            case "short":
                self._answer(b"version https://git-lfs.example/spec/v1", 0)
            case "dying" if self.headers.get("Range"):
                self.send_error(503)
            case "dying" | "cut":
                self._answer(data, self._start(), int(ways[1]))
            case _:
                self._answer(data, 0 if way == "plain" else self._start())

    def _send_on(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _start(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def _answer(self, data: bytes, start: int, most: int | None = None) -> None:
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.end_headers()
        self.wfile.write(data[start:] if most is None else data[start : start + most])
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class calls it
        """Says nothing."""
