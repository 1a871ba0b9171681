"""What the parts of a deployment owe each other.

The checks read plain mappings and step over what is malformed, so that a file with a wrong value in one place still
learns of a contradiction in another; a whole `Deployment` is checked by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from overt.governance.cameras import SourceKind, kind_of
from overt.governance.fields import Loc
from overt.governance.watchlists import OTHER_SOURCES

Finding = tuple[Loc, str]

HOURS_WITHOUT_DECISION = 24
"""South Wales Police's period, and the default: alert material that is kept longer needs a recorded decision."""


def crosschecks(data: Mapping[str, Any]) -> list[Finding]:
    """Contradictions between the parts of a deployment, each with the place where it can be mended."""
    window = _mapping(data.get("window"))
    cameras = _mappings(data.get("cameras"))
    watchlist = _mapping(data.get("watchlist"))
    categories = _mappings(watchlist.get("categories"))
    return [
        *_window(window),
        *_repeated(("cameras",), "camera", cameras),
        *_sources(cameras),
        *_files(cameras, window),
        *_repeated(("watchlist", "categories"), "category", categories),
        *_folders(categories, str(watchlist.get("source"))),
        *_retention(_mapping(data.get("retention"))),
        *_notice(_mapping(data.get("notice")), window),
        *_certificate(data),
    ]


def _window(window: Mapping[str, Any]) -> Iterator[Finding]:
    start, end = _moment(window.get("start")), _moment(window.get("end"))
    if start and end and end <= start:
        yield ("window", "end"), f"the window ends ({end.isoformat()}) before it has started; put end after start"


def _repeated(at: Loc, what: str, parts: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, part in parts:
        name = part.get("id")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield (
                (*at, index, "id"),
                f"'{name}' is already the id of {'.'.join(map(str, at))}[{first[name]}]; give each {what} its own",
            )


def _sources(cameras: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[Finding]:
    taken: dict[str, int] = {}
    for index, camera in cameras:
        source, source_file = camera.get("source"), camera.get("source_file")
        if source is None and source_file is None:
            yield (
                ("cameras", index, "source"),
                "is missing; give rtsp://..., usb:0 or a path, or source_file with the path of a file that holds it",
            )
        elif source is not None and source_file is not None:
            yield ("cameras", index, "source_file"), "source is given too; keep one of the two"
        elif isinstance(source, str) and kind_of(source) is SourceKind.USB and taken.setdefault(source, index) != index:
            yield (
                ("cameras", index, "source"),
                f"{source} is already read by cameras[{taken[source]}]; a USB camera can be opened once",
            )


def _files(cameras: Sequence[tuple[int, Mapping[str, Any]]], window: Mapping[str, Any]) -> Iterator[Finding]:
    start, end = _moment(window.get("start")), _moment(window.get("end"))
    for index, camera in cameras:
        source, started_at = camera.get("source"), _moment(camera.get("started_at"))
        if isinstance(source, str) and kind_of(source) is not SourceKind.PATH:
            if camera.get("loop") is True:
                yield ("cameras", index, "loop"), "only files can be looped; remove it from a live camera"
            if camera.get("started_at") is not None:
                yield (
                    ("cameras", index, "started_at"),
                    "only files have it; a live camera's frames are dated on arrival",
                )
        elif started_at and start and end and not start <= started_at < end:
            yield (
                ("cameras", index, "started_at"),
                "lies outside the window, where nothing is read; move it, or leave it out for the window's start",
            )


def _folders(categories: Sequence[tuple[int, Mapping[str, Any]]], source: str) -> Iterator[Finding]:
    first: dict[str, int] = {}
    by_manifest = Path(source).suffix.lower() in OTHER_SOURCES
    for index, category in categories:
        folder = category.get("folder")
        at: Loc = ("watchlist", "categories", index, "folder")
        if folder is None and len(categories) > 1 and not by_manifest:
            yield at, "is missing; with several categories each needs the subfolder that holds its subjects"
        elif isinstance(folder, str) and first.setdefault(folder.strip("/"), index) != index:
            yield (
                at,
                f"'{folder}' already holds the category at categories[{first[folder.strip('/')]}]; give each its own",
            )


def _retention(retention: Mapping[str, Any]) -> Iterator[Finding]:
    hours = retention.get("alerts_hours")
    if isinstance(hours, int | float) and hours > HOURS_WITHOUT_DECISION and retention.get("decision") is None:
        yield (
            ("retention", "decision"),
            f"is missing; to keep alerts for {hours:g} hours, more than {HOURS_WITHOUT_DECISION}, takes a recorded"
            " decision: name it here, or keep them for 24 hours",
        )


def _notice(notice: Mapping[str, Any], window: Mapping[str, Any]) -> Iterator[Finding]:
    published, start = _moment(notice.get("published_at")), _moment(window.get("start"))
    if published and start and published > start:
        yield ("notice", "published_at"), "the public is told before the start: put it before window.start"


def _certificate(data: Mapping[str, Any]) -> Iterator[Finding]:
    if data.get("require_certificate") is not True:
        return
    if data.get("certificate") is None:
        yield ("certificate",), "is missing, and require_certificate asks for one: name its file"
    if data.get("certificate_key") is None:
        yield (
            ("certificate_key",),
            "is missing; anybody can sign a certificate: name the public key of whoever may, or its fingerprint",
        )


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.utcoffset() is not None else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    if not isinstance(value, list | tuple):
        return []
    return [(index, part) for index, part in enumerate(value) if isinstance(part, Mapping)]
