"""Labelled images as material for `overt evaluate`: read, made into templates, described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.cli.progress import Pace, say
from overt.evaluation.cache import open_cache
from overt.evaluation.datasets import Dataset, read_dataset
from overt.evaluation.protocol import Protocol
from overt.evaluation.recipe import Choice, Extractor, FaceRule, Models, choose, open_extractor
from overt.evaluation.results import Data, Made, describe
from overt.evaluation.tables import Table
from overt.evaluation.templates import Maker, Template, templates
from overt.governance.deployment import Deployment
from overt.governance.loading import load_deployment
from overt.runtime.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Material:
    """Images with their templates, and what they were made with."""

    data: Dataset
    made: Sequence[Template]
    models: Models
    described: Data
    settings: Settings
    deployment: Deployment | None


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The values of `overt.cli.evaluate_options.image_options`."""

    source: Path
    deployment: Path | None
    detector: str | None
    embedder: str | None
    mirror: bool | None
    face: FaceRule
    min_face_px: int | None
    cache: bool


def material_of(options: ImageOptions) -> Material:
    """Reads the data and makes their templates, telling how far it is.

    Raises DatasetError, CacheError, ModelError and DeploymentError.
    """
    settings = load_settings()
    like = load_deployment(options.deployment) if options.deployment else None
    choice = _choice(like, options)
    data, models = read_dataset(options.source), choose(settings, choice)
    opened: list[Extractor] = []

    def extractor() -> Extractor:
        if not opened:
            opened.append(open_extractor(settings, models))
        return opened[0]

    maker, progress = Maker(extractor, choice.face, choice.min_face_px), Pace("templates, images")
    if not options.cache:
        made = templates(data.samples, maker, None, progress)
    else:
        try:
            with open_cache(settings.cache / "evaluation", models.recipe) as cache:
                made = templates(data.samples, maker, cache, progress)
        except KeyboardInterrupt:
            say("what was embedded is kept: the same command goes on from there")
            raise
    return Material(data, made, models, describe(data, made), settings, like)


def settings_table(material: Material, made: Made, protocol: Protocol) -> Table:
    """What is needed to make a result again."""
    recipe, data = material.models.recipe, material.described
    people = "no identities" if data.people is None else f"{data.people:,} people"
    share = f"{protocol.unlisted_share:g} of them unlisted"
    listed = share if protocol.list_size is None else f"{protocol.list_size:,} of them listed"
    which = "most central" if recipe.face == "central" else "only"
    detector, embedder = recipe.detector_sha256[:16], recipe.embedder_sha256[:16]
    rows = (
        ("detector", f"{recipe.detector} (sha256 {detector}...), score from {recipe.detection_threshold:g}"),
        ("embedder", f"{recipe.embedder} (sha256 {embedder}...), space {recipe.space_id}"),
        ("mirrored chip", "added" if recipe.mirror else "not added"),
        ("face", f"the {which} one of an image, from {recipe.min_face_px} px"),
        ("list", f"people with at least {protocol.images_needed} images, {listed}; {protocol.enrol} enrolled"),
        ("a subject's similarity", f"{protocol.rule} of its entries"),
        ("drawing", f"{protocol.splits} splits, seed {protocol.seed}"),
        ("data", f"{data.name}: {data.images:,} images, {people} (sha256 {data.sha256[:16]}...)"),
        ("command", " ".join(made.command)),
    )
    return Table("What it was made with", ("", ""), rows)


def remarks(data: Data) -> list[str]:
    """What a reader must know of the data before believing a number."""
    if not data.repeated:
        return []
    if data.people is None:
        return [f"{data.repeated} image(s) are there more than once; each counts once."]
    return [
        f"{data.repeated} image(s) stand under more than one person: such labels turn right answers into false alerts. "
        "Correct them first."
    ]


def _choice(like: Deployment | None, options: ImageOptions) -> Choice:
    usual = Choice()
    least = options.min_face_px or (like.recognition.min_face_px if like else usual.min_face_px)
    return Choice(
        options.detector or (like.models.detector if like else None),
        options.embedder or (like.models.embedder if like else None),
        options.mirror,
        options.face,
        least,
        like.recognition.detection_threshold if like else None,
    )
