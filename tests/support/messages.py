"""One plain message of each kind for tests to vary, hypothesis strategies for all, and a comparison by content."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from overt.messages import (
    AcquisitionFailure,
    Adjudication,
    Alert,
    AuditAction,
    AuditEvent,
    Authority,
    Box,
    CategoryCounts,
    Embedding,
    Face,
    Fact,
    FactKind,
    Frame,
    GuardState,
    Kind,
    Match,
    Message,
    Pass,
    SiteGuard,
    SiteStats,
    StatsWindow,
    Vector,
    Verdict,
    WatchlistEntry,
)
from overt.picture import Bgr, Picture
from overt.runtime.avro import Schemas, to_plain
from overt.runtime.resources import schemas_dir

T = TypeVar("T")

SCHEMAS = Schemas(schemas_dir())
SPACE = "plain/1"
DIMENSION = 8


def unit(seed: int, dimension: int = DIMENSION) -> Vector:
    """A random unit vector, the same for the same seed."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def pixels(seed: int = 0, height: int = 12, width: int = 16) -> Bgr:
    """Random pixels, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(seed: int = 0) -> Picture:
    return Picture(bgr=pixels(seed))


def frame(**changes: Any) -> Frame:
    made = Frame("c1", 3, 7, 1_000_000, None, 10, 20, 640, 360, picture(1))
    return dataclasses.replace(made, **changes)


def face(**changes: Any) -> Face:
    made = Face(
        camera_id="c1",
        source_epoch=3,
        frame_seq=7,
        face_index=0,
        captured_at_us=1_000_000,
        track_id="t1",
        box=Box(1, 2, 33, 44),
        landmarks=np.arange(10, dtype=np.float32),
        detection_score=0.9,
        quality=0.8,
        crop=picture(2),
        thumbnail=picture(3),
        context=picture(4),
    )
    return dataclasses.replace(made, **changes)


def embedding(**changes: Any) -> Embedding:
    made = Embedding("c1", 3, 7, 0, 1_000_000, "t1", 0.8, SPACE, unit(1), picture(3), picture(4))
    return dataclasses.replace(made, **changes)


def match(**changes: Any) -> Match:
    made = Match(
        camera_id="c1",
        source_epoch=3,
        frame_seq=7,
        face_index=0,
        captured_at_us=1_000_000,
        track_id="t1",
        subject_id="A",
        entry_id="A/1",
        category="suspects",
        kind=Kind.WANTED,
        similarity=0.97,
        threshold=0.94,
        margin=0.1,
        space_id=SPACE,
        quality=0.8,
        thumbnail=picture(3),
        context=picture(4),
    )
    return dataclasses.replace(made, **changes)


def alert(**changes: Any) -> Alert:
    made = Alert(
        alert_id="a1",
        deployment_id="d1",
        site_id="s1",
        camera_id="c1",
        zone="gate",
        source_epoch=3,
        frame_seq=7,
        face_index=0,
        track_id="t1",
        captured_at_us=1_000_000,
        alerted_at_us=1_200_000,
        subject_id="A",
        entry_id="A/1",
        category="suspects",
        kind=Kind.WANTED,
        similarity=0.97,
        threshold=0.94,
        margin=None,
        space_id=SPACE,
        confirmations=2,
        authority=Authority.UNSIGNED,
        probe_image=picture(3),
        context=picture(4),
    )
    return dataclasses.replace(made, **changes)


def passing(**changes: Any) -> Pass:
    made = Pass("t1", "c1", 3, 7, 1_000_000, 2_000_000, 9, 3, AcquisitionFailure.TOO_SMALL)
    return dataclasses.replace(made, **changes)


def entry(**changes: Any) -> WatchlistEntry:
    made = WatchlistEntry(
        entry_id="A/1",
        deployment_id="d1",
        subject_id="A",
        category="suspects",
        kind=Kind.WANTED,
        basis="warrant",
        valid_from_us=0,
        valid_until_us=10**15,
        space_id=SPACE,
        enrolled_at_us=5,
        vector=unit(1),
        reference_image=picture(5),
        image_source="custody record",
        image_date="2024-05-31",
        reviewer="R. Viewer",
        decision_id="D-7",
        notes="scar on the left hand",
    )
    return dataclasses.replace(made, **changes)


def adjudication(**changes: Any) -> Adjudication:
    made = Adjudication("j1", "a1", "d1", Verdict.TRUE, "operator", 3_000_000, 900)
    return dataclasses.replace(made, **changes)


def audit_event(**changes: Any) -> AuditEvent:
    made = AuditEvent("v1", "d1", 5_000_000, "registrar", AuditAction.ENTRY_REMOVED, "warrant withdrawn", "S1", "e1")
    return dataclasses.replace(made, **changes)


def fact(**changes: Any) -> Fact:
    made = Fact("alert/a1", "d1", FactKind.ALERT, 1_000_000, "c1", "suspects", Kind.WANTED, alert_id="a1")
    return dataclasses.replace(made, **changes)


def site_stats(**changes: Any) -> SiteStats:
    made = SiteStats(
        window_id="d1/c1/minute/0",
        deployment_id="d1",
        site_id="s1",
        camera_id="c1",
        window=StatsWindow.MINUTE,
        start_us=0,
        end_us=60_000_000,
        passes=7,
        failures_to_acquire=1,
        matches=3,
        alerts=1,
        judged_true=1,
        judged_false=0,
        judged_unsure=0,
        categories=(CategoryCounts("suspects", Kind.WANTED, 3, 1, 1, 0, 0),),
        revision=12,
    )
    return dataclasses.replace(made, **changes)


def site_guard(**changes: Any) -> SiteGuard:
    made = SiteGuard("d1", "s1", GuardState.PAUSED, 6_000_000, "guard", "too many false alerts", 5_000_000, 900, 5)
    return dataclasses.replace(made, **changes)


def one_of_each() -> list[Message]:
    """A message of every kind."""
    seen: list[Message] = [frame(), face(), embedding(), match(), alert(), passing()]
    return [*seen, entry(), adjudication(), audit_event(), fact(), site_stats(), site_guard()]


def records(cls: type[T]) -> st.SearchStrategy[T]:
    """Any instance of a dataclass that travels or is kept: integers as wide as its schema allows, finite floats."""
    return typing.cast("st.SearchStrategy[T]", _strategy(cls, SCHEMAS[cls.__name__]))


def plain(record: Any) -> dict[str, Any]:
    """A record as comparable plain values: vectors by their bytes, pictures by their file's."""
    return {name: _comparable(value) for name, value in to_plain(record).items()}


def _comparable(value: Any) -> Any:
    return value.encoded("png") if isinstance(value, Picture) else value


@cache
def _pictures() -> st.SearchStrategy[Picture]:
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))
    return hnp.arrays(np.uint8, shapes).map(lambda bgr: Picture(bgr=bgr))


def _strategy(hint: Any, schema: Any) -> st.SearchStrategy[Any]:
    """For a type and what the schema says of it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in args if a is not types.NoneType)
        return st.none() | _strategy(inner, next(s for s in schema if s != "null"))
    if isinstance(schema, dict) and schema["type"] not in ("record", "array", "enum"):
        schema = schema["type"]
    if origin is tuple:
        return st.lists(_strategy(args[0], schema["items"]), max_size=3).map(tuple)
    if hint is Picture:
        return _pictures()
    if origin is np.ndarray:
        return hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32))
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = {f["name"]: _strategy(hints[f["name"]], f["type"]) for f in schema["fields"]}
        return st.builds(typing.cast("Any", hint), **fields)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    bits = 31 if schema == "int" else 63
    plain_types: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=30),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        int: st.integers(-(2**bits), 2**bits - 1),
    }
    return plain_types[hint]
