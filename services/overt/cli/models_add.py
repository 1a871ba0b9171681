"""`overt models add`: a file of one's own becomes a model, by a card and without code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from overt.cli.errors import UserError
from overt.models.add import Description, Feeding, detector_card, embedder_card, put
from overt.models.card import DetectorCard, EmbedderCard
from overt.runtime.loaded import open_registry
from overt.runtime.settings import load_settings


@click.command(short_help="Write a card for an ONNX file of your own.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--role", type=click.Choice(["embedder", "detector"]), required=True, help="What the model does.")
@click.option("--name", required=True, help="What it shall be called: lower case, digits, dots, hyphens.")
@click.option("--licence", required=True, help="Its SPDX identifier, such as Apache-2.0; LicenseRef-... for others.")
@click.option("--training-data", required=True, help="What it was trained on, whose faces, with what consent.")
@click.option("--commercial-use/--no-commercial-use", default=False, show_default=True, help="Whether both allow it.")
@click.option("--summary", default="A model of the operator's own.", show_default=True, help="What it is.")
@click.option("--obtain", default="ask whoever runs this site", show_default=True, help="Where the file can be had.")
@click.option("--url", help="An https address from which other machines can pull the same file.")
@click.option("--colour", type=click.Choice(["RGB", "BGR"]), default="RGB", show_default=True, help="Order of colours.")
@click.option("--mean", type=float, default=127.5, show_default=True, help="Taken from each pixel, which is 0..255.")
@click.option("--scale", type=float, default=127.5, show_default=True, help="Each pixel is divided by it then.")
@click.option("--mirror/--no-mirror", default=False, show_default=True, help="Whether mirrored chips are added.")
@click.option("--output", help="The vector's name, where the graph has several outputs.")
@click.option("--like", help="For a detector: the known one that it is built like, for example yunet-n.")
def add(
    file: Path,
    role: str,
    name: str,
    licence: str,
    training_data: str,
    commercial_use: bool,
    summary: str,
    obtain: str,
    url: str | None,
    colour: Literal["RGB", "BGR"],
    mean: float,
    scale: float,
    mirror: bool,
    output: str | None,
    like: str | None,
) -> None:
    """Write a card for an ONNX file of your own, and copy both into the folder that OVERT_MODELS_DIR names.

    An embedder must be of the ArcFace kind: chips of 112 px, aligned by five points to ArcFace's template. Names,
    layout and dimension are read from the graph; the sha256 and golden numbers are computed. Colour, mean and scale
    cannot be read from a file: a wrong one gives no error, only poor similarities. --mean 0 --scale 1 is right for a
    network that normalises pixels itself, such as SFace.

    The card has no thresholds: measure some (overt evaluate identify) and write them into the deployment file.

    \b
    Examples:
      overt models add glintr100.onnx --role embedder --name auraface \\
          --licence Apache-2.0 --commercial-use --training-data "as its publisher says: ..."
      overt models add mine.onnx --role detector --like yunet-n --name mine \\
          --licence MIT --training-data "our own photographs, with consent"
    """
    settings = load_settings()
    if settings.models_dir is None:
        raise UserError("OVERT_MODELS_DIR: name a folder of your own, where the model and its card shall lie.")
    described = Description(name, licence, commercial_use, training_data, summary, obtain, url)
    registry = open_registry(settings)
    card: DetectorCard | EmbedderCard
    if role == "embedder":
        card = embedder_card(file, described, Feeding(colour, mean, scale, mirror), output)
    elif like is None:
        raise UserError("--like: name the known detector that this one is built like; it is decoded likewise.")
    else:
        card = detector_card(file, described, registry.detector(like))
    registry.admit(card)
    click.echo(put(card, file, settings.models_dir))
