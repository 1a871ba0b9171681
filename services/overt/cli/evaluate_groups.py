"""`overt evaluate groups` and `labels`: for whom recognition works less well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from overt.cli.errors import UserError
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
from overt.cli.progress import say, tell
from overt.evaluation.estimate import Bootstrap
from overt.evaluation.groups_run import GroupsResult, Wanted, evaluate_groups
from overt.evaluation.groups_words import groups_tables
from overt.evaluation.labels import Labels, lfw_labels, read_labels, utkface_labels
from overt.evaluation.protocol import Protocol
from overt.evaluation.results import Made, as_csv, document


@click.command()
@image_options
@protocol_options
@click.option(
    "--labels",
    "labels_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with column image or person, and one for each label; a manifest's own columns are labels too.",
)
@click.option("--by", required=True, help="Labels to compare by, comma between; sex+ethnicity makes groups of both.")
@click.option(
    "--fpir",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Of searches: groups are compared where all together have it, and the worst one shall not exceed it.",
)
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-4,
    show_default=True,
    help="Of pairs, likewise.",
)
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Compare at this cosine instead.")
@output_options
def groups(
    labels_file: Path | None,
    by: str,
    fpir: float,
    fmr: float,
    threshold: float | None,
    resamples: int,
    out: Path | None,
    as_document: bool,
    **options: Any,
) -> None:
    """Errors by group (ISO/IEC 19795-10): FNIR, FPIR, FMR and FTA with intervals, what differs and what could have been
    seen, and the threshold at which the worst group meets the target.

    Groups are compared by labels that you bring; none is ever guessed from a face. Without identities (images of which
    nobody says who they show) only FMR can be measured, and the rest is printed as such.

    \b
    Examples:
      overt evaluate groups people/ --labels labels.csv --by sex
      overt evaluate groups people.csv --by sex,age_band,sex+ethnicity --out out/groups
    """
    if out is not None:
        require_plots()
    images, protocol = take(ImageOptions, options), take(Protocol, options)
    wanted = Wanted(tuple(label.strip() for label in by.split(",")), fpir, fmr, threshold)
    with data_errors():
        labels = read_labels(labels_file) if labels_file else None
        material = material_of(images)
        bootstrap = Bootstrap(resamples=resamples, seed=protocol.seed)
        with measuring():
            result = evaluate_groups(material.data, material.made, labels, wanted, protocol, bootstrap)
    made, notes = made_now(), [*remarks(material.described), *_unnamed(material, labels)]
    content = _document(material, made, result)
    tables = [*groups_tables(material.described, result), settings_table(material, made, protocol)]
    give(content, tables, as_document=as_document)
    for note in notes:
        say(note)
    if out is not None:
        from overt.evaluation.groups_files import groups_files  # needs matplotlib

        write(out, content, groups_files(material.described, made, result, tables, notes))


def _document(material: Material, made: Made, result: GroupsResult) -> dict[str, Any]:
    parts = {
        "data": material.described,
        "models": material.models.recipe,
        "protocol": result.protocol,
        "wanted": result.wanted,
        "measures": {"labels": result.labels},
    }
    return document("groups", made, parts)


def _unnamed(material: Material, labels: Labels | None) -> list[str]:
    """Lines of a labels' file that name nothing in the data: most often a path that is written in another way."""
    if labels is None:
        return []
    samples = material.data.samples
    there = {sample.image if labels.by == "image" else sample.person for sample in samples}
    unknown = len(set(labels.values) - there)
    if not unknown:
        return []
    return [f"{unknown:,} of {len(labels.values):,} lines of the labels name no {labels.by} of the data."]


_SETS = {"lfw": lfw_labels, "utkface": utkface_labels}


@click.command()
@click.argument("dataset", type=click.Choice(list(_SETS)))
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
def labels(dataset: str, folder: Path) -> None:
    """Print the labels that come with a public data set as the CSV that `overt evaluate groups` reads.

    lfw: sex of each person, from lfw_male_names.txt and lfw_female_names.txt (Afifi and Abdelhamed 2017) in DIR.
    utkface: sex, age band and ethnicity of each image, from its name. The data sets' terms are their publishers'.

    \b
    Examples:
      overt evaluate labels lfw lfw/ > labels.csv
      overt evaluate labels utkface UTKFace/ > labels.csv
    """
    with data_errors():
        rows = list(_SETS[dataset](folder))
    if not rows:
        raise UserError(f"{folder}: no label was found", 5)
    tell(as_csv(rows).rstrip("\n"))
