"""One camera of a deployment: where its pictures come from, and the zone that may be looked at."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, Strict, ValidationInfo, field_validator

from overt.governance.fields import Flag, Instant, Number, Part, Slug, Whole, refuse
from overt.governance.zones import Zone

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_USB = re.compile(r"^usb:\d{1,3}$")
_EXPECTED = "expected rtsp://..., usb:0, or the path of a video file, an animated GIF or a folder of images"


class SourceKind(StrEnum):
    """What a camera's source is."""

    RTSP = "rtsp"
    USB = "usb"
    PATH = "path"
    """A video file, an animated GIF or a folder of images."""


def _source(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise refuse(f"expected text; write usb:{value} for the USB camera with this number")
    if not isinstance(value, str) or not value.strip():
        raise refuse(_EXPECTED)
    if (fault := _fault_of(value)) is not None:
        raise refuse(fault)
    return value


def _fault_of(source: str) -> str | None:
    if source.lower().startswith("usb:") and not _USB.match(source):
        return "expected usb: and the camera's number, for example usb:0"
    if (url := _URL.match(source)) is None:
        return None
    if url[1] not in ("rtsp", "rtsps"):
        return f"addresses of the kind {url[1]}:// are not read; {_EXPECTED}"
    try:
        named = bool(urlsplit(source).hostname) and urlsplit(source).port != 0
    except ValueError:
        named = False
    return None if named else f"the address {redacted(source)} names no host, or no valid port; {_EXPECTED}"


def _no_address(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip() or "://" in value:
        raise refuse("expected the path of a file that holds the source; an address itself belongs under source")
    return value


def _resolved(path: str, info: ValidationInfo) -> str:
    """A path relative to the deployment file's folder, made absolute when that folder is known."""
    base = (info.context or {}).get("base")
    return str(Path(base, path)) if base is not None else path


class Camera(Part):
    """A camera, its zone, and the partition of the topics on which its messages travel."""

    camera_id: Slug = Field(alias="id", description="Name of the camera, unique in the file.", examples=["north"])
    source: Annotated[str, Strict(), BeforeValidator(_source)] | None = Field(
        default=None,
        repr=False,
        description="rtsp://host/stream, usb:0, or the path of a video file, an animated GIF or a folder of images;"
        " a path is relative to this file.",
        examples=["rtsp://192.0.2.10/stream1"],
    )
    source_file: Annotated[str, Strict(), BeforeValidator(_no_address)] | None = Field(
        default=None,
        description="Instead of source: the path of a file that holds the source, such as a mounted secret; for an"
        " address with a password.",
        examples=["/run/secrets/camera-north"],
    )
    partition: Whole = Field(
        ge=0,
        le=9999,
        description="Number of the partition that carries this camera's messages, assigned once; cameras of one"
        " partition share a replica.",
        examples=[0],
    )
    zone: Zone = Field(description="The part of the image that may be looked at; the rest is blanked at once.")
    max_fps: Number | None = Field(
        default=None, gt=0, le=240, description="Most frames a second that are read; without it, all.", examples=[12.5]
    )
    started_at: Instant | None = Field(
        default=None,
        description="For files: when the first frame was captured, with offset from UTC; the window's start without it."
        " It dates frames when a run does not keep to real time.",
        examples=["2026-05-14T10:05:00+01:00"],
    )
    loop: Flag = Field(default=False, description="For files: start again at the end, for load tests.")

    @field_validator("source", "source_file")
    @classmethod
    def _relative_to_the_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or (info.field_name == "source" and kind_of(value) is not SourceKind.PATH):
            return value
        return _resolved(value, info)

    @property
    def redacted(self) -> str:
        """The source as it may be shown and logged: without user, password or query."""
        return redacted(self.source) if self.source is not None else f"source_file {self.source_file}"

    def resolve_source(self) -> str:
        """The source itself; reads `source_file` when that is given.

        Raises OSError when the file cannot be read, ValueError when it holds no source. No text of either shows it.
        """
        if self.source is not None:
            return self.source
        assert self.source_file is not None
        source = Path(self.source_file).read_text(encoding="utf-8").strip()
        if not source or "\n" in source or _fault_of(source) is not None:
            raise ValueError(f"{self.source_file} (source_file of camera {self.camera_id}): {_EXPECTED}, on one line")
        if kind_of(source) is SourceKind.PATH:
            return str(Path(self.source_file).parent / source)
        return source


def kind_of(source: str) -> SourceKind:
    """What a source is, by its text alone; whether a path is a file or a folder is the camera service's to see."""
    if _URL.match(source):
        return SourceKind.RTSP
    return SourceKind.USB if _USB.match(source) else SourceKind.PATH


def redacted(source: str) -> str:
    """A source without user, password, query and fragment, which can all hold a secret."""
    url = _URL.match(source)
    if url is None:
        before, at, after = source.rpartition("@")
        return f"***@{after}" if at and ":" in before else source  # an address with a slash missing
    # By hand and not with urlsplit: a malformed address must not show its password either. A password may hold "/",
    # "?" or "#" unescaped, so everything up to the last "@" goes.
    rest = source[url.end() :]
    _user, at, rest = rest.rpartition("@")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{url[0]}{'***@' if at else ''}{rest}"
