"""Enrols a deployment's watchlist with the deployment's models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from overt.messages import WatchlistEntry
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.watchlist.file import WatchlistFile
from overt.runtime.wiring import Wiring
from overt.runtime.world import now_us
from overt.watchlist.build import Making, Progress, enrolled, with_resemblances
from overt.watchlist.enrol import Templates, template_of
from overt.watchlist.pixels import quiet
from overt.watchlist.results import Built, Refusal
from overt.watchlist.sealed import SUFFIX
from overt.watchlist.sources import listing_of
from overt.watchlist.twins import Alike


@dataclass(slots=True)
class Enrolment:
    """What became of a watchlist's source."""

    entries: list[WatchlistEntry] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def subjects(self) -> int:
        return len({entry.subject_id for entry in self.entries})


def enrol_folder(wiring: Wiring, progress: Progress) -> Enrolment:
    """Enrols what the deployment's watchlist lists, in a folder or another source; a sealed list is opened. Raises
    overt.governance.listing.WatchlistError for a source that cannot be used, WatchlistFileError for a sealed one."""
    source = Path(wiring.deployment.watchlist.source)
    if source.suffix == SUFFIX:
        deployment_id = wiring.deployment.deployment_id
        sealed = WatchlistFile(source, deployment_id, open_keyring(wiring.deployment, wiring.settings), now_us)
        return Enrolment(list(sealed.read(wiring.models.embedder.space_id, progress)))
    with listing_of(wiring.deployment.watchlist) as listing:
        built = enrolled(listing, making(wiring, lambda templates, _: templates), progress)
    return Enrolment(list(built.entries), list(built.refusals))


Remembering = Callable[[Templates, dict[str, str]], Templates]
"""Wraps what makes templates, for the models of these sha256."""


def build(wiring: Wiring, remembering: Remembering, enrolling: Progress, comparing: Progress) -> Built:
    """Makes the deployment's watchlist, and compares everybody on it with everybody. Raises WatchlistError."""
    made_with = making(wiring, remembering)
    with listing_of(wiring.deployment.watchlist) as listing:
        built = enrolled(listing, made_with, enrolling)
    return with_resemblances(built, made_with, comparing)


def making(wiring: Wiring, remembering: Remembering) -> Making:
    """With what the deployment's watchlist is made."""
    models, deployment = wiring.models, wiring.deployment
    extractor = wiring.extractor()
    quiet()
    sha256 = {"detector": models.detector.onnx.sha256, "embedder": models.embedder.onnx.sha256}
    thresholds = {c.category_id: models.thresholds(c) for c in deployment.watchlist.categories}
    return Making(
        deployment=deployment,
        templates=remembering(lambda data, box: template_of(data, box, extractor), sha256),
        space_id=models.embedder.space_id,
        models=sha256,
        alike={name: Alike(found.match, found.strong) for name, found in thresholds.items()},
        unlike_below=models.laxest,
        clock=now_us,
    )
