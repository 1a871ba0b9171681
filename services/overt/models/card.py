"""A model card: all that must be known of a model, as validated data.

The idea is of Mitchell et al., "Model Cards for Model Reporting" (2019): licence, training data and intended use stand
beside the numbers that the code needs. Unknown fields are errors, since a misspelt `colour` gives no error later, only
bad similarities.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from overt.models.errors import BadCard
from overt.models.sources import Bytes, Source, Strict

Spdx = Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*$")]
Point = tuple[float, float]
FivePoints = tuple[Point, Point, Point, Point, Point]
Fraction = Annotated[float, Field(gt=0, lt=1)]
GraphOptimisation = Literal["basic", "extended", "all"]


class Input(Strict):
    """The input tensor, float32: value = (pixel - mean) / scale, pixels 0..255, mean in the tensor's colour order.

    `chip_px` is the fixed side of a square input; else height and width are free multiples of `stride_px`.
    """

    tensor: str = Field(min_length=1)
    layout: Literal["NCHW", "NHWC"]
    colour: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    scale: float = Field(gt=0)
    chip_px: int | None = Field(default=None, gt=0)
    stride_px: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_geometry(self) -> Self:
        if (self.chip_px is None) == (self.stride_px is None):
            raise ValueError("give exactly one of chip_px (fixed input) and stride_px (free input)")
        return self


class SessionOptions(Strict):
    """Options of ONNX Runtime for this graph; the best optimisation level differs between graphs and is measured."""

    graph_optimisation: GraphOptimisation
    threads: int = Field(ge=1)
    provider: str = Field(default="CPUExecutionProvider", pattern=r"^[A-Za-z]+ExecutionProvider$")


class Alignment(Strict):
    """Where the five landmarks lie in an aligned chip, in pixels, a pixel's centre having whole coordinates.

    Left eye, right eye, nose, left and right mouth corner; left and right as seen in the image.
    """

    chip_px: int = Field(gt=0)
    points_xy: FivePoints
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _upright_face_inside(self) -> Self:
        if not all(0 <= v < self.chip_px for point in self.points_xy for v in point):
            raise ValueError(f"points_xy must lie inside the chip of {self.chip_px} px")
        (lx, ly), (rx, ry), (_, ny), (mlx, mly), (mrx, mry) = self.points_xy
        if not (lx < rx and mlx < mrx and max(ly, ry) < ny < min(mly, mry)):
            raise ValueError(
                "points_xy must be left eye, right eye, nose, left and right mouth corner, as seen in the image"
            )
        return self


class OperatingPoint(Strict):
    """The cosine at which a false match rate was measured."""

    fmr: Fraction
    cosine: float = Field(ge=-1, le=1)


class MatchThresholds(Strict):
    """Cosines at false match rates (ISO/IEC 19795-1). A default to start from; a deployment measures its own."""

    points: tuple[OperatingPoint, ...] = Field(min_length=1)
    default_fmr: Fraction
    source: str = Field(min_length=1)
    """Data, pairs and method behind the numbers."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rates = [p.fmr for p in self.points]
        cosines = [p.cosine for p in self.points]
        if rates != sorted(set(rates), reverse=True) or cosines != sorted(cosines):
            raise ValueError("points must go from the highest false match rate to the lowest, cosines rising")
        if self.default_fmr not in rates:
            raise ValueError(f"default_fmr {self.default_fmr} is none of {rates}")
        return self

    def at(self, fmr: float) -> float:
        """The cosine measured at this false match rate. Raises KeyError when it was not measured."""
        return {p.fmr: p.cosine for p in self.points}[fmr]

    @property
    def default(self) -> float:
        """The cosine to use where a deployment names none."""
        return self.at(self.default_fmr)


class Golden(Strict):
    """What the model gave for the picture of `overt.models.golden`: compared when its files are verified."""

    output: str
    """By the name that the card uses for an output."""
    numbers: tuple[float, ...] = Field(min_length=4)


class SharedDirection(Strict):
    """What all faces have in common in a space: the mean of many people's vectors, at unit length. Of nobody."""

    float32_base64: str
    """Little-endian; white space is ignored."""
    source: str = Field(min_length=1)

    @property
    def vector(self) -> NDArray[np.float32]:
        """float32 [D], L2 norm 1. Raises ValueError when it is no base64 of whole numbers."""
        return np.frombuffer(base64.b64decode("".join(self.float32_base64.split()), validate=True), "<f4")


class _Common(Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    version: str
    summary: str = Field(min_length=1)
    licence: Spdx
    commercial_use: bool
    """Whether the licence allows it and the training data was not withdrawn by its publisher."""
    default: bool = False
    """Whether it is what a deployment gets that names no model for this role."""
    training_data: str = Field(min_length=1)
    source: Source
    converter: Literal["none", "centerface_dynamic", "dlib_resnet_v1", "mobilefacenet_192"]
    onnx: Bytes
    """The file that ONNX Runtime opens, after conversion; conversion gives the same bytes everywhere."""
    input: Input
    session: SessionOptions
    golden: Golden | None = None
    """None: nobody has run this model yet."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default and not self.commercial_use:
            raise ValueError("a default model must be usable commercially")
        if self.default and self.source.kind == "file":
            raise ValueError("a default model must be obtainable without the operator's help")
        if self.default and (self.golden is None or getattr(self, "match", self.golden) is None):
            raise ValueError("a default model must have been measured: golden, and match for an embedder")
        if self.converter == "none" and self.onnx != self.source.member_bytes:
            raise ValueError("without a converter, onnx must equal source.member_bytes")
        return self

    @property
    def file_name(self) -> str:
        """Name of the ONNX file in the cache."""
        return f"{self.name}.onnx"


class DetectorCard(_Common):
    """A face detector: boxes and five landmarks."""

    role: Literal["detector"]
    decoder: Literal["centerface", "yunet"]
    """Family of the outputs: how numbers become boxes."""
    outputs: dict[str, str]
    """By the name that the decoder uses for an output: the graph's own name for it."""
    score_threshold: Fraction


class EmbedderCard(_Common):
    """A face recognition network: an aligned chip becomes a vector."""

    role: Literal["embedder"]
    outputs: dict[str, str]
    """The graph's own name for the output that is the vector, float32 [N, dimension], not normalised."""
    dimension: int = Field(gt=0)
    space_id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*/[0-9]+$")
    """Every vector carries it. Whatever changes vectors (weights, input, alignment, mirror) changes the number after
    the slash, so that vectors of different spaces never meet."""
    mirror: bool
    """Whether a face's vector is the sum of the outputs for its chip and for the mirrored chip, then normalised."""
    alignment: Alignment
    shared: SharedDirection | None = None
    """None: what faces of this space share was not measured; probes of a track are fused as if it were nothing."""
    match: MatchThresholds | None = None
    """None: nothing was measured yet, and a deployment has to name its thresholds."""

    @model_validator(mode="after")
    def _one_vector_of_a_chip(self) -> Self:
        if list(self.outputs) != ["embedding"]:
            raise ValueError(f"outputs must have the one key embedding, not {list(self.outputs)}")
        if self.shared is not None and (
            self.shared.vector.shape != (self.dimension,) or not abs(np.linalg.norm(self.shared.vector) - 1) < 1e-3
        ):
            raise ValueError(f"shared.float32_base64 must be {self.dimension} numbers of L2 norm 1")
        if self.input.chip_px != self.alignment.chip_px:
            raise ValueError(f"input.chip_px {self.input.chip_px} differs from alignment's {self.alignment.chip_px}")
        return self


Card = DetectorCard | EmbedderCard
_CARD: TypeAdapter[Card] = TypeAdapter(Annotated[Card, Field(discriminator="role")])


def read_card(path: Path) -> Card:
    """One card from its YAML file. Raises BadCard naming the file, each wrong field and what was expected."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        card = _CARD.validate_python(raw, strict=False)
    except yaml.YAMLError as error:
        raise BadCard(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        raise BadCard(f"{path}: the model card is not valid; correct these fields:\n{wrong_fields(error)}") from error
    if path.stem != card.name:
        raise BadCard(f"{path}: field name is {card.name!r}; a card's file is named after it: {card.name}.yaml")
    return card


def wrong_fields(error: ValidationError) -> str:
    """A line for each field that is wrong: its place and what was expected."""
    return "\n".join(f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
