"""A card for an operator's own file: what the graph tells is read from it, what it cannot tell is said by the operator.

Nothing is measured by adding a model. Its card has golden numbers, which tell whether it is fed tomorrow as it is
today, and no thresholds: those come from an evaluation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import ValidationError

from overt.models import golden
from overt.models.arcface import ARCFACE
from overt.models.card import Card, DetectorCard, EmbedderCard, Input, SessionOptions, read_card, wrong_fields
from overt.models.errors import BadCard, NotAdded
from overt.models.files import put_atomically
from overt.models.registry import OWN_CARDS
from overt.models.session import Graph, open_session, read_graph
from overt.models.sources import Bytes

AnyCard = TypeVar("AnyCard", DetectorCard, EmbedderCard)


@dataclass(frozen=True, slots=True)
class Description:
    """What no file tells of itself."""

    name: str
    licence: str
    commercial_use: bool
    training_data: str
    summary: str
    obtain: str
    """Where the file can be had, for people."""
    url: str | None = None
    """Where others can pull the same file from."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """How an embedder of the ArcFace kind was trained to be fed; the usual way when nothing else is said."""

    colour: Literal["RGB", "BGR"] = "RGB"
    mean: float = 127.5
    scale: float = 127.5
    mirror: bool = False


def embedder_card(file: Path, described: Description, feeding: Feeding, output: str | None = None) -> EmbedderCard:
    """A card for a face recognition network that takes aligned chips of 112 px, with golden numbers.

    Its space is `NAME/1`. `output` names the vector where the graph has several outputs. Raises NotAdded when the graph
    is of another kind; BadCard when a value cannot stand on a card.
    """
    data = _read(file)
    graph = read_graph(data)
    layout = _layout(file, graph)
    side = graph.input_shape[2]
    if side != ARCFACE.chip_px:
        raise NotAdded(
            f"{file}: takes chips of {side} px; the usual template is one of {ARCFACE.chip_px} px. Write a card with "
            "the template that the network was trained with: copy one that overt models show prints."
        )
    vector = output or (next(iter(graph.outputs)) if len(graph.outputs) == 1 else None)
    shape = graph.outputs.get(vector or "")
    if vector is None or shape is None or len(shape) != 2 or not isinstance(shape[1], int):
        raise NotAdded(f"{file}: which output [N, D] is the vector? Name it (--output); it has {graph.outputs}")
    fields = _common(described, data) | {
        "role": "embedder",
        "input": Input(
            tensor=graph.input,
            layout=layout,
            colour=feeding.colour,
            mean=(feeding.mean,) * 3,
            scale=feeding.scale,
            chip_px=side,
        ),
        "outputs": {"embedding": vector},
        "dimension": shape[1],
        "space_id": f"{described.name}/1",
        "mirror": feeding.mirror,
        "alignment": ARCFACE,
    }
    return _measured(file, _valid(EmbedderCard, fields))


def detector_card(file: Path, described: Description, like: DetectorCard) -> DetectorCard:
    """A card for a detector of the same family as `like`, with its geometry, outputs and decoder, and golden numbers.

    Raises NotAdded; BadCard; BadSession when the graph is not of that family.
    """
    data = _read(file)
    taken = {name: getattr(like, name) for name in ("role", "input", "outputs", "decoder", "score_threshold")}
    return _measured(file, _valid(DetectorCard, _common(described, data) | taken))


def put(card: Card, file: Path, models_dir: Path) -> Path:
    """Copies the file, and writes its card, into a folder of the operator's own. Returns the card's path.

    The card must have been admitted to the registry, which sees to it that none is overwritten. Raises NotWritable.
    """
    path = models_dir / OWN_CARDS / f"{card.name}.yaml"
    target = models_dir / card.file_name
    if not (target.exists() and target.samefile(file)):
        put_atomically(file.read_bytes(), target)
    text = yaml.safe_dump(
        card.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True, width=110
    )
    put_atomically(text.encode(), path)
    read_card(path)
    return path


def _common(described: Description, data: bytes) -> dict[str, object]:
    pinned = Bytes(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    return {
        "name": described.name,
        "version": "1",
        "summary": described.summary,
        "licence": described.licence,
        "commercial_use": described.commercial_use,
        "training_data": described.training_data,
        "source": _source(described, pinned),
        "converter": "none",
        "onnx": pinned,
        "session": SessionOptions(graph_optimisation="all", threads=1),
    }


def _source(described: Description, pinned: Bytes) -> dict[str, object]:
    if described.url is not None:
        return {"kind": "https", "url": described.url, "member_bytes": pinned}
    name = f"{described.name}.onnx"
    return {"kind": "file", "file_name": name, "obtain": described.obtain, "member_bytes": pinned}


def _valid(kind: type[AnyCard], fields: dict[str, object]) -> AnyCard:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise BadCard(f"The card would not be valid; correct these fields:\n{wrong_fields(error)}") from error


def _measured(file: Path, card: AnyCard) -> AnyCard:
    return card.model_copy(update={"golden": golden.measure(card, open_session(card, file))})


def _layout(file: Path, graph: Graph) -> Literal["NCHW", "NHWC"]:
    """From where the three colours are. Raises NotAdded when the input is no square image of fixed size."""
    shape = graph.input_shape
    if len(shape) == 4 and isinstance(shape[2], int):
        if shape[1] == 3 and shape[2] == shape[3]:
            return "NCHW"
        if shape[3] == 3 and shape[1] == shape[2]:
            return "NHWC"
    raise NotAdded(f"{file}: takes {graph.input} {shape}; [N, 3, S, S] or [N, S, S, 3] with a fixed S was expected.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotAdded(f"{file}: cannot be read ({error.strerror}).") from error
