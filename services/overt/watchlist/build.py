"""From what a source lists to a watchlist: rules, templates, look-alikes, and an account of all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from overt.governance.deployment import Deployment
from overt.governance.listing import ListedImage
from overt.messages import WatchlistEntry
from overt.ports import Clock
from overt.watchlist.enrol import Enrolled, Templates, enrol
from overt.watchlist.results import Built, Detail, Refusal
from overt.watchlist.rules import Ruling, about_the_list, rule, unsaid
from overt.watchlist.sources import Listing
from overt.watchlist.twins import Alike, resemblances

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Making:
    """With what a list is made."""

    deployment: Deployment
    templates: Templates
    space_id: str
    models: Mapping[str, str]
    """The sha256 of each model, by role."""
    alike: Mapping[str, Alike]
    """By category."""
    unlike_below: float
    clock: Clock


def enrolled(listing: Listing, making: Making, progress: Progress) -> Built:
    """Makes an entry of each listed image that can be one. Nobody is compared with anybody yet."""
    entries: list[WatchlistEntry] = []
    details: dict[str, Detail] = {}
    refusals = list(listing.refusals)
    missing: Counter[str] = Counter()
    for done, image in enumerate(listing.images, start=1):
        ruling = rule(image, making.deployment)
        outcome = _outcome(image, ruling, making)
        if isinstance(outcome, Refusal):
            refusals.append(outcome)
        else:
            entries.append(outcome.entry)
            details[outcome.entry.entry_id] = _detail(image, ruling, outcome)
            missing.update(unsaid(image))
        progress(done, len(listing.images))
    now_us = making.clock()
    return Built(
        deployment_id=making.deployment.deployment_id,
        space_id=making.space_id,
        models=making.models,
        built_at_us=now_us,
        entries=entries,
        details=details,
        refusals=sorted(refusals, key=lambda r: (in_order(r.place), r.subject_id)),
        remarks=[*about_the_list(making.deployment, now_us), *_not_said(missing, len(entries))],
    )


def with_resemblances(built: Built, making: Making, progress: Progress) -> Built:
    """The same list, with who resembles whom."""
    found = resemblances(built.entries, making.alike, making.unlike_below, progress)
    return replace(built, pairs=found.pairs, pairs_in_all=found.in_all)


def in_order(place: str) -> list[tuple[int, str]]:
    """A key that sorts line 9 before line 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]{1,9})", place)]


def _outcome(image: ListedImage, ruling: Ruling, making: Making) -> Enrolled | Refusal:
    if ruling.refusals:
        return Refusal(image.place, image.subject_id, "; ".join(ruling.refusals))
    return enrol(image, ruling.terms, making.templates, making.space_id, making.clock())


def _detail(image: ListedImage, ruling: Ruling, made: Enrolled) -> Detail:
    template = made.template
    return Detail(
        place=image.place,
        eye_distance_px=template.eye_distance_px,
        quality=template.quality,
        age_years=ruling.age_years,
        warnings=(*template.warnings, *ruling.warnings),
    )


def _not_said(missing: Mapping[str, int], entries: int) -> Sequence[str]:
    """Every entry owes these to whoever reviews the list (College of Policing, Authorised Professional Practice)."""
    names = {
        "image_source": "where its image is from",
        "image_date": "when it was taken",
        "reviewer": "who reviewed it",
    }
    return [
        f"{count} of {entries} entries: it is not said {names[name]} ({name} in a manifest)."
        for name in names
        if (count := missing.get(name, 0))
    ]
