"""One pinned file over HTTP: it goes on where it was cut, and is accepted for its size and sha256 only.

Proxies are those that the environment names (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), certificates those of the system
(SSL_CERT_FILE), as everywhere in Python.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from overt.models.errors import NotObtained, WrongBytes
from overt.models.files import not_writable
from overt.models.sources import Bytes

BytesSeen = Callable[[int], None]
"""Called now and then with how many bytes have arrived."""

_TIMEOUT_S = 30.0
_PAUSE_S = 1.0
_IDLE_ATTEMPTS = 4
"""So many attempts in a row that bring not one byte end it."""
_CHUNK_BYTES = 1 << 18
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


def download(url: str, expected: Bytes, part: Path, seen: BytesSeen) -> None:
    """Brings the file at `url` into `part`, whole and verified. What is there already, from an earlier attempt that was
    cut, is not asked for again; what could be brought stays there for the next attempt.

    Blocks for as long as it takes. Raises NotObtained; WrongBytes when another file is served; NotWritable.
    """
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NotObtained(f"{shown(url)}: another process is obtaining it; wait for that one.") from error
            try:
                _Download(url, expected, file, seen).run()
            except (NotObtained, WrongBytes):
                if not file.seek(0, 2):
                    part.unlink()
                raise
    except OSError as error:  # of the file: those of the network were dealt with
        raise not_writable(part.parent, error) from error


def shown(url: str) -> str:
    """An address without what may be a secret: the user's name, password, and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Download:
    def __init__(self, url: str, expected: Bytes, file: BufferedRandom, seen: BytesSeen) -> None:
        self._url = url
        self._expected = expected
        self._file = file
        self._seen = seen

    def run(self) -> None:
        """1. brings what is missing, 2. compares; what an earlier attempt left may be of another file: then 3. again
        from the start."""
        leftover = self._have() > 0
        self._bring()
        if leftover and not self._right():
            self._restart()
            self._bring()
        if not self._right():
            self._restart()
            raise self._wrong("it has another sha256")

    def _bring(self) -> None:
        idle = 0
        while (have := self._have()) < self._expected.size_bytes:
            problem = self._attempt(have)
            arrived = self._have()
            idle = 0 if arrived > have else idle + 1
            if idle >= _IDLE_ATTEMPTS:
                raise self._not_obtained(problem or "the answer has no content")
            if idle:
                time.sleep(_PAUSE_S * 2 ** (idle - 1))

    def _attempt(self, have: int) -> str | None:
        """One request for the rest. Returns why it ended early; raises NotObtained where asking again is no use."""
        request = _request(self._url)
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            response = _opener().open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and have:
                self._restart()
            elif error.code not in _TRANSIENT:
                raise self._not_obtained(f"HTTP status {error.code} {error.reason}") from error
            return f"HTTP status {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            return str(getattr(error, "reason", None) or error)
        with response:
            self._take(response, have)
        return None

    def _take(self, response: Any, have: int) -> None:
        """Appends what comes; from the start, where the server does not know ranges. A cut is no error here."""
        if not (response.status == 206 and (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")):
            self._restart()
            have = 0
        length = response.headers.get("Content-Length")
        if length is not None and have + int(length) != self._expected.size_bytes:
            raise self._wrong(f"it has {have + int(length)} bytes")
        while chunk := _some(response):
            have += len(chunk)
            if have > self._expected.size_bytes:
                self._restart()
                raise self._wrong("it has more bytes")
            self._file.write(chunk)
            self._file.flush()
            self._seen(have)

    def _have(self) -> int:
        return self._file.seek(0, 2)

    def _restart(self) -> None:
        self._file.truncate(0)

    def _right(self) -> bool:
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest() == self._expected.sha256

    def _wrong(self, found: str) -> WrongBytes:
        return WrongBytes(
            f"{shown(self._url)}: another file is served than the card pins ({self._expected.size_bytes} bytes, sha256 "
            f"{self._expected.sha256}): {found}. Do not use it; ask whoever runs the mirror or proxy."
        )

    def _not_obtained(self, problem: str) -> NotObtained:
        return NotObtained(
            f"{shown(self._url)}: could not be obtained ({problem}); {self._have()} of {self._expected.size_bytes} "
            "bytes are kept, and the next attempt goes on from there. Check the network, or name a proxy (HTTPS_PROXY) "
            "or a mirror (OVERT_MIRRORS), or take the models from a folder (overt models import FOLDER)."
        )


class _StaySecure(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something weaker."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.HTTPError(req.full_url, code, f"redirects to {shown(newurl)}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_StaySecure())


def _request(url: str) -> urllib.request.Request:
    """A request for the bytes as they are. A user and password in the address go to that host and to no other."""
    parts = urlsplit(url)
    secret, _, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https"):
        raise NotObtained(f"{shown(url)}: is no https address. Correct the mirror or registry that it comes from.")
    # S310: only http and https, as checked above
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))  # noqa: S310
    request.add_header("Accept-Encoding", "identity")
    request.add_header("User-Agent", "overt")
    if secret:
        token = base64.b64encode(unquote(secret).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _some(response: Any) -> bytes:
    """The next bytes; none at the end, and none where the connection was cut."""
    try:
        return bytes(response.read1(_CHUNK_BYTES))
    except (OSError, http.client.HTTPException):
        return b""
