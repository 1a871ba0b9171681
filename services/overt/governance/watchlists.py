"""The watchlist of a deployment: its closed list of categories, and where its reference images are."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, Strict, ValidationInfo, field_validator

from overt.governance.fields import Number, Part, Slug, Text, Whole, refuse
from overt.messages import Kind

_VAGUE = frozenset(
    [
        "all",
        "any",
        "anyone",
        "everybody",
        "everyone",
        "general",
        "generic",
        "interest",
        "interesting",
        "none",
        "undefined",
        "unknown",
        "unspecified",
        "various",
    ]
)
_VAGUE_ANYWHERE = frozenset(("other", "others", "misc", "miscellaneous", "poi"))
OTHER_SOURCES = frozenset((".csv", ".json", ".watchlist", ".zip"))
"""How the name of a source ends that is no folder: a manifest, an archive."""
_LOOKS_LIKE = str.maketrans("0135", "oies")


def is_vague(category_id: str) -> bool:
    """Whether a category's name says of nobody why they are on the list.

    R (Bridges) v South Wales Police [2020] EWCA Civ 1058 at 124 found a list wanting whose categories were open, such
    as "other" and people "of interest"; their usual spellings are meant too.
    """
    words = [word for word in re.split(r"[^a-z]+", category_id.lower().translate(_LOOKS_LIKE)) if word]
    joined = "".join(words)
    return joined in _VAGUE or bool(_VAGUE_ANYWHERE.intersection([joined, *words])) or "ofinterest" in joined


class SubjectsBy(StrEnum):
    """How the images of one subject are told from another's."""

    SUBFOLDER = "subfolder"
    PREFIX = "prefix"


class Category(Part):
    """Why people are on the list, and what it takes to alert for them."""

    category_id: Slug = Field(
        alias="id",
        description="Name of the category, which says why somebody is on the list; 'other' and 'of interest' are"
        " refused.",
        examples=["wanted-robbery"],
    )
    kind: Kind = Field(description="wanted or missing; the two stay apart in thresholds and wording.")
    basis: Text = Field(
        description="Lawful basis for having these people on the list.", examples=["Warrants issued by the court"]
    )
    folder: Annotated[str, Strict(), Field(min_length=1)] | None = Field(
        default=None,
        description="Subfolder of the watchlist's folder that holds this category; needed when there are several"
        " categories and no manifest that says who is in which.",
        examples=["wanted"],
    )
    threshold: Number | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="Cosine similarity that a match must reach; without it, the one on the model's card.",
        examples=[0.94],
    )
    strong_threshold: Number | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="Similarity at which one match is enough for an alert; without it, derived from the model's card.",
        examples=[0.96],
    )
    confirmations: Whole = Field(
        default=2,
        ge=1,
        le=20,
        description="Matches with distinct faces of one track that make an alert, where none is strong.",
    )
    within_s: Number = Field(
        default=5.0, gt=0, le=600, description="Seconds of capture time within which they must come."
    )

    valid_hours: Number | None = Field(
        default=None,
        gt=0,
        le=744,
        description="Hours from the window's start after which this category's entries match nobody any more; without"
        " it, they match to the window's end.",
        examples=[12],
    )

    @field_validator("category_id")
    @classmethod
    def _says_why(cls, category_id: str) -> str:
        if is_vague(category_id):
            raise refuse(
                f"'{category_id}' does not say why somebody is on the list; the categories are closed, and such as"
                " 'other' and 'of interest' are refused: name the reason, for example wanted-robbery"
            )
        return category_id

    @field_validator("folder")
    @classmethod
    def _stays_inside(cls, folder: str | None) -> str | None:
        if folder is not None and (folder in (".", "..") or "/" in folder or "\\" in folder):
            raise refuse("expected the name of a subfolder of the watchlist's folder, for example wanted")
        return folder

    @field_validator("strong_threshold")
    @classmethod
    def _is_stronger(cls, strong: float | None, info: ValidationInfo) -> float | None:
        threshold = info.data.get("threshold")
        if strong is not None and threshold is not None and strong < threshold:
            raise refuse(
                f"{strong:g} is below the threshold {threshold:g}; a strong match needs at least the threshold"
            )
        return strong


class Watchlist(Part):
    """Where the reference images are, and the categories of people in them."""

    source: Annotated[str, Strict(), Field(min_length=1)] = Field(
        description="Folder of the reference images, a manifest of them (.csv, .json), or a .zip of either; relative to"
        " this file.",
        examples=["watchlist"],
    )
    subjects: SubjectsBy = Field(
        default=SubjectsBy.SUBFOLDER,
        description="subfolder: one folder of images for each subject, named with the subject's id. prefix: images lie"
        " side by side as <id>.jpg or <id>_<number>.jpg. An id is a reference, not a name.",
    )
    categories: tuple[Category, ...] = Field(
        min_length=1, max_length=50, description="The closed, published list of categories."
    )

    @property
    def is_folder(self) -> bool:
        """Whether the source is a folder, by its name: its layout then says who is in which category."""
        return Path(self.source).suffix.lower() not in OTHER_SOURCES

    @field_validator("source")
    @classmethod
    def _relative_to_the_file(cls, source: str, info: ValidationInfo) -> str:
        base = (info.context or {}).get("base")
        return str(Path(base, source)) if base is not None else source
