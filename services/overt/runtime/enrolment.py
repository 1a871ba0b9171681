"""Enrols a deployment's watchlist folder with the deployment's models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from overt.governance.deployment import Deployment
from overt.governance.listing import ListedImage, listed_images
from overt.messages import WatchlistEntry
from overt.runtime.wiring import Wiring
from overt.runtime.world import now_us
from overt.watchlist.enrol import Extractor, Refused, Terms, enrol


@dataclass(slots=True)
class Enrolment:
    """What became of a watchlist's folder."""

    entries: list[WatchlistEntry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def subjects(self) -> int:
        return len({entry.subject_id for entry in self.entries})


def enrol_folder(wiring: Wiring, progress: Callable[[int, int], None]) -> Enrolment:
    """Enrols every listed image. Raises overt.governance.listing.WatchlistError for a folder that cannot be used."""
    images = listed_images(wiring.deployment.watchlist)
    extractor = wiring.extractor()
    result = Enrolment()
    for done, outcome in enumerate(_outcomes(wiring.deployment, images, extractor), start=1):
        if isinstance(outcome, Refused):
            result.refused.append(outcome)
        else:
            result.entries.append(outcome)
        progress(done, len(images))
    return result


def _outcomes(
    deployment: Deployment, images: Sequence[ListedImage], extractor: Extractor
) -> Iterator[WatchlistEntry | Refused]:
    for image in images:
        category = deployment.category(image.category_id)
        terms = Terms(
            deployment_id=deployment.deployment_id,
            kind=category.kind,
            basis=category.basis,
            valid_from_us=deployment.window.start_us,
            valid_until_us=deployment.window.end_us,
        )
        yield enrol(image, terms, extractor, now_us())
