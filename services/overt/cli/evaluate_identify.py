"""`overt evaluate identify`: open-set identification on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overt.cli.evaluate_material import ImageOptions, Material, material_of, remarks, settings_table
from overt.cli.evaluate_options import (
    data_errors,
    give,
    image_options,
    made_now,
    measuring,
    output_options,
    protocol_options,
    require_plots,
    take,
    write,
)
from overt.cli.progress import say
from overt.evaluation.certifiable import of_images
from overt.evaluation.estimate import Bootstrap
from overt.evaluation.identify import IdentifyResult, Named
from overt.evaluation.identify import identify as measured
from overt.evaluation.identify_words import identify_tables
from overt.evaluation.protocol import Protocol
from overt.evaluation.results import Made, document
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics


@click.command()
@image_options
@protocol_options
@click.option(
    "--threshold",
    "cosines",
    type=click.FloatRange(-1, 1),
    multiple=True,
    help="Cosine to measure at, repeatable; else those of the deployment, or of the embedder's card.",
)
@output_options
def identify(cosines: tuple[float, ...], resamples: int, out: Path | None, as_document: bool, **options: Any) -> None:
    """Open-set identification on labelled images (ISO/IEC 19795-1), with an interval on every number.

    DIR holds one subfolder for each person, or images named PERSON_NUMBER.jpg. MANIFEST is CSV with columns image and
    person (and left, top, right, bottom where the face is), or a JSON list of such objects. Some people are enrolled,
    the others are not; all other images are searched for. An image without template stays in every denominator.

    \b
    Examples:
      overt evaluate identify people/
      overt evaluate identify people/ --enrol 3 --out out/identify
      overt evaluate identify people.csv -d deployment.yaml --json | jq .measures.identification
    """
    if out is not None:
        require_plots()
    images, protocol = take(ImageOptions, options), take(Protocol, options)
    with data_errors():
        material = material_of(images)
        named, bootstrap = _named(material, cosines), Bootstrap(resamples=resamples, seed=protocol.seed)
        with measuring():
            result = measured(material.data, material.made, protocol, named, bootstrap)
    made = made_now()
    content = _document(material, made, result)
    tables = [*identify_tables(material.described, result), settings_table(material, made, protocol)]
    give(content, tables, as_document=as_document)
    for remark in remarks(material.described):
        say(remark)
    if out is not None:
        from overt.evaluation.identify_files import identify_files  # needs matplotlib

        notes = remarks(material.described)
        write(out, content, identify_files(material.data, material.described, made, result, tables, notes))


def _document(material: Material, made: Made, result: IdentifyResult) -> dict[str, Any]:
    measures = {
        "list_size": result.list_size,
        "identification": result.identification,
        "thresholds": result.named,
        "claimed": result.claimed,
        "fte": {"images": result.fte, "people": result.fte_people},
        "verification": {
            "mated_pairs": len(result.pairs.mated),
            "non_mated_pairs": len(result.pairs.non_mated),
            "tar_at_fmr": result.verification,
        },
        "fpir_by_list_size": result.growth,
        "subject_rule": result.rules,
        "planner": {"passes_needed": result.plans, "claimable_without_false_alert": result.claimable},
    }
    parts = {
        "data": material.described,
        "models": material.models.recipe,
        "protocol": result.protocol,
        "measures": measures,
        "certifiable": of_images(
            material.models.recipe, result.list_size, result.identification, result.searched.non_mated
        ),
    }
    return document("identify", made, parts)


def _named(material: Material, cosines: tuple[float, ...]) -> list[Named]:
    """The thresholds to measure at. Those of a deployment or card are for their own space only."""
    if cosines:
        return [Named(cosine, "--threshold") for cosine in cosines]
    models, like = material.models, material.deployment
    if like is not None and (like.models.embedder, models.recipe.space_id) == (
        models.embedder.name,
        models.embedder.space_id,
    ):
        loaded = LoadedModels(like, material.settings, Metrics())
        found = {c.category_id: loaded.thresholds(c) for c in like.watchlist.categories}
        lines = {(t.match, f"{name}, match") for name, t in found.items()}
        lines |= {(t.strong, f"{name}, strong match") for name, t in found.items() if t.strong > t.match}
        return [Named(*line) for line in sorted(lines)]
    match = models.embedder.match
    if match is None or models.recipe.space_id != models.embedder.space_id:
        return []
    return [Named(point.cosine, f"card, FMR {point.fmr:g}") for point in match.points]
