"""The deployment's models, opened; and what is made of them: a detector, an embedding model, an extractor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from overt.governance.deployment import Deployment
from overt.governance.watchlists import Category
from overt.models.card import Card, DetectorCard, EmbedderCard
from overt.models.errors import UnmeasuredModel
from overt.models.origins import Origins
from overt.models.registry import Registry
from overt.models.session import Session, open_session
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities of a category, its own or the model card's."""

    match: float
    strong: float


class LoadedModels:
    """Opens a model when it is first wanted: a matcher's process never loads a network.

    Its cards are known at once. Raises overt.models.errors.ModelError, which says what to do.
    """

    def __init__(self, deployment: Deployment, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._categories = deployment.watchlist.categories
        self.registry = open_registry(settings)
        self.detector: DetectorCard = self.registry.detector(deployment.models.detector)
        self.embedder: EmbedderCard = self.registry.embedder(deployment.models.embedder)

    @cached_property
    def detector_session(self) -> Session:
        return self._open(self.detector)

    @cached_property
    def embedder_session(self) -> Session:
        return self._open(self.embedder)

    def thresholds(self, category: Category) -> Thresholds:
        """The category's thresholds; where it names none, cosines that the embedder's card has measured.

        Raises UnmeasuredModel where neither the category nor the card names one.

        A single match then needs the card's default false match rate; a match that others of its track must confirm
        needs the next laxer one, a tenth as strict with the cards that come with the package.

        Refused on purpose: lowering a threshold by anything else, such as a quiet hour or a missed face. Whoever wants
        another one writes it into the deployment file, and alerts and the report show it.
        """
        points = self.embedder.match
        if points is None:
            return self._thresholds_of_its_own(category)
        cosines = [point.cosine for point in points.points]
        strict = cosines.index(points.default)
        lax = cosines[max(0, strict - 1)] if category.confirmations > 1 else points.default
        match = lax if category.threshold is None else category.threshold
        strong = points.default if category.strong_threshold is None else category.strong_threshold
        return Thresholds(match, max(match, strong))

    @property
    def laxest(self) -> float:
        """The lowest cosine that is called a match: of those the card has measured, or else of the categories."""
        if self.embedder.match is not None:
            return self.embedder.match.points[0].cosine
        return min(self.thresholds(category).match for category in self._categories)

    def _thresholds_of_its_own(self, category: Category) -> Thresholds:
        if category.threshold is None:
            raise UnmeasuredModel(
                f"{self.embedder.name}: its card has no measured thresholds, and category {category.category_id} names "
                "none. Measure (overt evaluate identify) and write field threshold into the deployment file."
            )
        return Thresholds(category.threshold, max(category.threshold, category.strong_threshold or 0.0))

    def _open(self, card: DetectorCard | EmbedderCard) -> Session:
        path = self.registry.path(card.name)
        space = card.space_id if isinstance(card, EmbedderCard) else ""
        self._metrics.model.labels(card.role, card.name, card.onnx.sha256, space).set(1)
        return open_model(card, path, self._settings)


def open_registry(settings: Settings) -> Registry:
    """The model cards, with the places where files may be."""
    search = [settings.models_dir] if settings.models_dir else []
    return Registry(settings.cache / "models", search, origins=Origins(settings.npm_registry, settings.mirrors))


def open_model(card: Card, path: Path, settings: Settings) -> Session:
    """Opens a model as its card says, except where a setting says otherwise. Raises as `open_session`."""
    of_role = settings.detector_provider if card.role == "detector" else settings.embedder_provider
    return open_session(
        card,
        path,
        threads=settings.threads,
        graph_optimisation=settings.graph_optimisation,
        provider=of_role or settings.provider,
    )
