"""What the law and good practice ask of an entry, whatever its image is like: basis, validity, age, who reviewed it.

R (Bridges) v South Wales Police [2020] EWCA Civ 1058 and the College of Policing's guidance on live facial recognition
stand behind them; docs/watchlists.md says which. All limits stand here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from overt.governance.deployment import Deployment
from overt.governance.listing import ListedImage
from overt.governance.watchlists import Category
from overt.messages import Kind
from overt.watchlist.enrol import Terms

CHILD_IMAGE_YEARS = 3.0
"""A child's face changes faster: from this age on its image is warned about."""
IMAGE_YEARS = 10.0
"""The same for everybody else."""
MOST_HOURS_BEFORE = 24
"""A list is made for one deployment, at most this long before it starts."""
_HOUR_US = 3_600_000_000
_YEAR_DAYS = 365.2425


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules say of one image; with a refusal it is not even opened."""

    terms: Terms
    age_years: float | None
    """Of the image, at the window's start."""
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def rule(image: ListedImage, deployment: Deployment) -> Ruling:
    """Judges what the source says of an image."""
    category, said = deployment.category(image.category_id), image.particulars
    terms = _terms(image, category, deployment)
    starts = datetime.fromtimestamp(deployment.window.start_us / 1e6, UTC).date()
    age = None if said.image_date is None else (starts - said.image_date).days / _YEAR_DAYS
    refusals, warnings = [], []
    if terms.valid_until_us <= terms.valid_from_us:
        refusals.append(_never_valid(image, category, deployment))
    if said.under_18 and not said.decision_id:
        refusals.append("the person is under 18 and no decision is recorded; give its decision_id")
    if said.image_date is not None and said.image_date > starts:
        refusals.append(f"image_date: {said.image_date} lies after the deployment's start")
    elif age is not None and (old := _too_old(age, said.image_date, under_18=bool(said.under_18))):
        warnings.append(old)
    if category.kind is Kind.MISSING:
        if said.image_date is None:
            warnings.append("the image has no date: nobody can tell how much the missing person has changed")
        if said.under_18 is None:
            warnings.append("it is not said whether the missing person is under 18")
    return Ruling(terms, age, tuple(refusals), tuple(warnings))


def unsaid(image: ListedImage) -> tuple[str, ...]:
    """What an entry should carry and this one's source does not say."""
    said = image.particulars
    fields = {"image_source": said.image_source, "image_date": said.image_date, "reviewer": said.reviewer}
    return tuple(name for name, value in fields.items() if not value)


def about_the_list(deployment: Deployment, now_us: int) -> list[str]:
    """Sentences about a list that is made now."""
    hours = (deployment.window.start_us - now_us) / _HOUR_US
    if hours > MOST_HOURS_BEFORE:
        return [
            f"The list is made {hours:.0f} hours before the window begins, more than {MOST_HOURS_BEFORE}: "
            "make it again when the start is near."
        ]
    return []


def _terms(image: ListedImage, category: Category, deployment: Deployment) -> Terms:
    """Nobody is looked for outside the window, whatever the source says."""
    said, window = image.particulars, deployment.window
    until = window.end_us
    if category.valid_hours is not None:
        until = min(until, window.start_us + round(category.valid_hours * _HOUR_US))
    if said.valid_until_us is not None:
        until = min(until, said.valid_until_us)
    return Terms(
        deployment_id=deployment.deployment_id,
        kind=category.kind,
        basis=said.basis or category.basis,
        valid_from_us=max(window.start_us, said.valid_from_us or window.start_us),
        valid_until_us=until,
    )


def _never_valid(image: ListedImage, category: Category, deployment: Deployment) -> str:
    said = image.particulars
    if said.valid_until_us is not None and said.valid_until_us <= deployment.window.start_us:
        return f"it has expired: valid_until lies before the window, which begins {deployment.window.start.isoformat()}"
    return "it is valid at no moment of the window; correct valid_from and valid_until" + (
        f" (category {category.category_id} is valid for {category.valid_hours:g} hours)"
        if category.valid_hours is not None
        else ""
    )


def _too_old(age_years: float, taken: date | None, *, under_18: bool) -> str | None:
    limit = CHILD_IMAGE_YEARS if under_18 else IMAGE_YEARS
    if age_years < limit:
        return None
    whose = "a child's image, and children change" if under_18 else "an old image"
    return f"{whose}: taken {taken}, {age_years:.1f} years before the deployment; {limit:g} at most are advised"
