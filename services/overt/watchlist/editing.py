"""Lists that are made of lists: what differs between two, what several are together, what one is after a while."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from overt.governance.deployment import Deployment
from overt.messages import WatchlistEntry

_NO_CHANGE = frozenset({"revision", "enrolled_at_us"})
"""Fields that say when an entry was written and not what it says."""
_HOUR_US = 3_600_000_000

Plain = Mapping[str, Any]
"""An entry's fields that are not sealed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that only one of two lists has, or that says something else in the second."""

    what: str
    """`come`, `gone`, `changed`."""
    entry_id: str
    subject_id: str
    fields: tuple[str, ...] = ()
    """Names of the fields that changed."""


def differences(before: Iterable[Plain], after: Iterable[Plain]) -> list[Difference]:
    """What became of a list, by subject and entry. An entry's id stands for its image: those are not compared."""
    old, new = ({row["entry_id"]: row for row in rows} for rows in (before, after))
    found = [Difference("gone", name, old[name]["subject_id"]) for name in old.keys() - new.keys()]
    found += [Difference("come", name, new[name]["subject_id"]) for name in new.keys() - old.keys()]
    for name in old.keys() & new.keys():
        one, other = old[name], new[name]
        if fields := tuple(f for f in other if f not in _NO_CHANGE and one.get(f) != other[f]):
            found.append(Difference("changed", name, other["subject_id"], fields))
    return sorted(found, key=lambda d: (d.subject_id, d.entry_id))


@dataclass(frozen=True, slots=True)
class Edited:
    """The entries of a list that was made of others, and who is not on it any more and why."""

    entries: Sequence[WatchlistEntry]
    left_out: Sequence[str] = ()
    """A sentence for each."""
    problems: Sequence[str] = ()
    """Why the list cannot be made at all."""


def merged(lists: Iterable[Iterable[WatchlistEntry]]) -> Edited:
    """All entries of several lists of one deployment. Of one that is on several, what was written last counts."""
    latest: dict[str, WatchlistEntry] = {}
    for entries in lists:
        for entry in entries:
            before = latest.get(entry.entry_id)
            if before is None or _written(entry) >= _written(before):
                latest[entry.entry_id] = entry
    found = sorted(latest.values(), key=lambda e: (e.category, e.subject_id, e.entry_id))
    return Edited(found, problems=_at_odds(found))


def renewed(
    entries: Iterable[WatchlistEntry], deployment: Deployment, *, ended_us: int, now_us: int, reviewer: str | None
) -> Edited:
    """The list as of now, for the deployment's window as it is now: without those whose time is over, and with those
    who were listed for as long as the list (until `ended_us`) listed until the window's end, or for as long as their
    category allows. Whoever was listed for less stays so."""
    kept, left_out = [], []
    for entry in entries:
        until_us = _until(entry, deployment, ended_us)
        if until_us is None:
            left_out.append(
                f"{entry.subject_id} ({entry.entry_id}): category {entry.category} is not in the deployment"
            )
        elif until_us <= now_us:
            left_out.append(f"{entry.subject_id} ({entry.entry_id}): its validity is over")
        else:
            kept.append(replace(entry, valid_until_us=until_us, reviewer=reviewer or entry.reviewer))
    return Edited(kept, left_out)


def _until(entry: WatchlistEntry, deployment: Deployment, ended_us: int) -> int | None:
    """The new end of an entry; None where its category is no more."""
    try:
        category = deployment.category(entry.category)
    except KeyError:
        return None
    most_us = deployment.window.end_us
    if category.valid_hours is not None:
        most_us = min(most_us, deployment.window.start_us + round(category.valid_hours * _HOUR_US))
    return most_us if entry.valid_until_us >= ended_us else min(entry.valid_until_us, most_us)


def _written(entry: WatchlistEntry) -> tuple[int, int]:
    return entry.revision, entry.enrolled_at_us


def _at_odds(entries: Sequence[WatchlistEntry]) -> list[str]:
    """What no list may hold: a subject in two categories, two ids that differ in their spelling only."""
    category: dict[str, str] = {}
    spelling: dict[str, str] = {}
    problems = []
    for entry in entries:
        subject = entry.subject_id
        if (other := category.setdefault(subject, entry.category)) != entry.category:
            problems.append(f"subject {subject} is in category {other} and in {entry.category}; keep it in one")
        alike = spelling.setdefault(unicodedata.normalize("NFKC", subject).casefold(), subject)
        if alike != subject:
            problems.append(
                f"subject {subject} differs from {alike} only in how it is written; give each person one id"
            )
    return list(dict.fromkeys(problems))
