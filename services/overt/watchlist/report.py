"""The account of a build: what was accepted, what was refused and why, what to look at, as text and as JSON.

The same list gives the same bytes, whatever machine and order it was read in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from overt.messages import Kind, WatchlistEntry
from overt.output.wording import iso, moment
from overt.watchlist.results import Built, Detail, Pair, Resemblance

MOST_LINES = 200
"""Of each kind that the text shows; the JSON has all."""
_ADVICE = {
    Resemblance.SAME_PERSON: "perhaps one person under two ids: each will alert as the other",
    Resemblance.NEAR_TWINS: "near-twins: each may alert as the other; tell the operators",
    Resemblance.UNLIKE: "resembles none of the subject's other images: perhaps a wrong photo",
}


def groups(entries: Sequence[WatchlistEntry]) -> list[tuple[str, Kind, int, int]]:
    """Category, kind, images and subjects, by the categories' names."""
    found: dict[tuple[str, Kind], list[str]] = {}
    for entry in entries:
        found.setdefault((entry.category, entry.kind), []).append(entry.subject_id)
    return [(category, kind, len(ids), len(set(ids))) for (category, kind), ids in sorted(found.items())]


def advice(pair: Pair) -> str:
    """What a pair means."""
    return _ADVICE[pair.what]


def age(detail: Detail) -> str:
    """How old an image is, in words."""
    return "age of the image unknown" if detail.age_years is None else f"image {detail.age_years:.1f} years old"


def as_text(built: Built) -> str:
    """The account for a terminal: every reason, a bounded number of lines."""
    return "\n".join(_lines(built)) + "\n"


def as_json(built: Built) -> str:
    """The account for other software: everything but the biometrics."""
    return json.dumps(as_dict(built), indent=2, ensure_ascii=False) + "\n"


def as_dict(built: Built) -> dict[str, Any]:
    """The account as plain values."""
    return {
        "deployment_id": built.deployment_id,
        "space_id": built.space_id,
        "models": dict(sorted(built.models.items())),
        "built_at": iso(built.built_at_us),
        "accepted": len(built.entries),
        "refused": len(built.refusals),
        "subjects": built.subjects,
        "categories": [
            {"category": category, "kind": kind.value, "images": images, "subjects": subjects}
            for category, kind, images, subjects in groups(built.entries)
        ],
        "entries": [_entry(entry, built.details[entry.entry_id]) for entry in built.entries],
        "refusals": [{"place": r.place, "subject_id": r.subject_id, "why": r.why} for r in built.refusals],
        "look_alikes": [
            {"what": p.what.value, "entry_id": p.entry_id, "other_id": p.other_id, "similarity": p.similarity}
            for p in built.pairs
        ],
        "look_alikes_in_all": built.pairs_in_all,
        "remarks": list(built.remarks),
    }


def _entry(entry: WatchlistEntry, detail: Detail) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "subject_id": entry.subject_id,
        "category": entry.category,
        "kind": entry.kind.value,
        "place": detail.place,
        "basis": entry.basis,
        "image_source": entry.image_source,
        "image_date": entry.image_date,
        "image_age_years": None if detail.age_years is None else round(detail.age_years, 2),
        "reviewer": entry.reviewer,
        "valid_from": iso(entry.valid_from_us),
        "valid_until": iso(entry.valid_until_us),
        "under_18": entry.under_18,
        "decision_id": entry.decision_id,
        "notes": entry.notes,
        "eye_distance_px": round(detail.eye_distance_px, 1),
        "quality": round(detail.quality, 3),
        "warnings": list(detail.warnings),
    }


def _lines(built: Built) -> Iterator[str]:
    images = len(built.entries) + len(built.refusals)
    yield f"watchlist of {built.deployment_id}, made {moment(built.built_at_us)}, model space {built.space_id}"
    yield f"accepted: {len(built.entries)} of {images} images, of {_many(built.subjects, 'subject')}"
    for category, kind, accepted, subjects in groups(built.entries):
        yield f"  {category} ({kind.value}): {_many(accepted, 'image')} of {_many(subjects, 'subject')}"
    minors = len({entry.subject_id for entry in built.entries if entry.under_18})
    if minors:
        yield f"  under 18: {_many(minors, 'subject')}, each with a recorded decision"
    yield from _section("refused", [f"{r.place}: {r.why}" for r in built.refusals])
    yield from _section("warnings", _warnings(built))
    yield from _section("look-alikes", _pairs(built), built.pairs_in_all)
    yield from _section("remarks", list(built.remarks))


def _warnings(built: Built) -> list[str]:
    lines = []
    for entry in built.entries:
        detail = built.details[entry.entry_id]
        if detail.warnings:
            lines.append(f"{detail.place} ({entry.subject_id}, {entry.kind.value}): {'; '.join(detail.warnings)}")
    return lines


def _pairs(built: Built) -> list[str]:
    subject = {entry.entry_id: entry.subject_id for entry in built.entries}
    lines = []
    for pair in built.pairs:
        one, other = built.details[pair.entry_id].place, built.details[pair.other_id].place
        who = f"{subject[pair.entry_id]} ({one}) and {subject[pair.other_id]} ({other})"
        lines.append(f"{who}: similarity {pair.similarity:.3f}: {advice(pair)}")
    return lines


def _section(title: str, lines: Sequence[str], in_all: int | None = None) -> Iterator[str]:
    if not lines:
        return
    count = len(lines) if in_all is None else in_all
    yield f"{title}: {count}"
    yield from (f"  {line}" for line in lines[:MOST_LINES])
    if count > min(len(lines), MOST_LINES):
        yield f"  and {count - min(len(lines), MOST_LINES)} more; report.json names those that were kept"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
