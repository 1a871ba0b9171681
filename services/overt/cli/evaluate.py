"""`overt evaluate`: how well recognition works, for whom, and what a sample cannot tell."""

from __future__ import annotations

import click

from overt.cli.lazy import LazyGroup

_COMMANDS = {
    "identify": ("overt.cli.evaluate_identify", "Open-set identification on labelled images."),
    "groups": ("overt.cli.evaluate_groups", "Errors by group, and the threshold of the worst group."),
    "labels": ("overt.cli.evaluate_groups", "Labels of known data sets as the CSV that `groups` reads."),
    "certificate": ("overt.cli.evaluate_certificate", "What was measured, signed for a deployment."),
    "quality": ("overt.cli.evaluate_quality", "What a face's quality tells, and its calibration."),
    "video": ("overt.cli.evaluate_video", "The whole pipeline on walk-pasts of labelled people."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def evaluate() -> None:
    """How well recognition works, and for whom, with an interval on every number.

    What the data cannot carry is printed as `not measurable here`. Results go to standard output, and with --out to a
    folder: result.json, CSV files, plots and one HTML page.

    Templates of the images are kept in OVERT_CACHE/evaluation, so that each image costs its models once. They are
    biometrics of the people shown: only you can read that folder, and deleting it deletes them (or give --no-cache).

    \b
    Examples:
      overt evaluate identify people/ --out out/identify
      overt evaluate labels lfw lfw/ > labels.csv
      overt evaluate groups lfw/ --labels labels.csv --by sex
    """
