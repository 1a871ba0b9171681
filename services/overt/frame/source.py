"""Where a camera's images come from, as the deployment file says it, and how it may be named in a log.

| written as | is |
|---|---|
| `rtsp://...`, `rtsps://...` | a network camera (RFC 7826), read over TCP |
| `usb:0` | a camera of this machine, by number |
| a path of a folder | its JPEG and PNG files as consecutive frames |
| any other path | a video file or animated GIF |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_USB = re.compile(r"^usb:(\d{1,3})$")


class CameraError(Exception):
    """A camera cannot be read. The text names it without credentials, says what was expected, and what to do."""


class SourceKind(StrEnum):
    """How a source is read."""

    VIDEO = "video"
    FOLDER = "folder"
    RTSP = "rtsp"
    USB = "usb"


@dataclass(frozen=True, slots=True)
class CameraSource:
    """A source that was understood. `target` may hold a password: only `name` may reach a log or an error's text."""

    kind: SourceKind
    target: str
    name: str

    @property
    def live(self) -> bool:
        """Whether it shows what happens now: it cannot be read twice, does not wait, and is reopened when it ends."""
        return self.kind in (SourceKind.RTSP, SourceKind.USB)

    def __repr__(self) -> str:
        return f"CameraSource({self.name})"


def parse_source(text: str) -> CameraSource:
    """Understands a source as written in a deployment file. Looks at the disk only to tell a folder from a file.

    Raises CameraError for what is no source at all; that a file exists is found out when it is opened.
    """
    if not text.strip():
        raise CameraError("a camera's source is empty; give an rtsp:// address, usb:0, or the path of a file or folder")
    if (usb := _USB.match(text)) is not None:
        return CameraSource(SourceKind.USB, usb[1], f"usb:{int(usb[1])}")
    if (url := _URL.match(text)) is not None:
        return _from_url(text, url[1].lower())
    path = Path(text).expanduser()
    return CameraSource(SourceKind.FOLDER if path.is_dir() else SourceKind.VIDEO, str(path), str(path))


def _from_url(text: str, scheme: str) -> CameraSource:
    name = redact(text)
    if scheme not in ("rtsp", "rtsps"):
        raise CameraError(
            f"{name}: addresses of this kind are not read; expected rtsp:// or rtsps://, usb:0, or the path of a file"
            " or folder"
        )
    if not _has_host(text):
        raise CameraError(
            f"{name}: no host can be made out in this address; write it as rtsp://user:password@host:554/path and"
            " percent-encode @ : / ? # in the password"
        )
    return CameraSource(SourceKind.RTSP, text, name)


def redact(url: str) -> str:
    """An address without what opens it: no user, password, query, or part of the path that looks like a parameter."""
    scheme = url.partition("://")[0]
    if not _has_host(url):
        return f"{scheme}://***"
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    user = "***@" if "@" in parts.netloc else ""
    port = f":{parts.port}" if parts.port else ""
    path = "/".join("***" if "=" in part or "@" in part else part for part in parts.path.split("/"))
    return f"{scheme}://{user}{host}{port}{path}{'?***' if parts.query else ''}"


def _has_host(url: str) -> bool:
    """Whether the address splits cleanly: an unescaped / or : in a password would else pass for host or path."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # ValueError when it is no number
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.path
