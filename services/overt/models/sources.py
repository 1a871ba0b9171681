"""Where a model's file comes from, as validated data. Everything is pinned by size and sha256."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Data of a card: an unknown field is an error, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Bytes(Strict):
    """One exact file."""

    sha256: Sha256
    size_bytes: int = Field(gt=0)


class PypiSource(Strict):
    """A member of an archive on the Python package index; the archive itself is pinned too."""

    kind: Literal["pypi"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+!-]*$")
    archive: Literal["wheel", "sdist"]
    archive_bytes: Bytes
    member: str = Field(min_length=1)
    """Path of the model inside the archive."""
    member_bytes: Bytes


class NpmSource(Strict):
    """A member of a package's archive on an npm registry; the archive itself is pinned too."""

    kind: Literal["npm"]
    package: str = Field(pattern=r"^(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+-]*$")
    archive_bytes: Bytes
    member: str = Field(min_length=1)
    """Path of the model inside the archive; npm puts everything below package/."""
    member_bytes: Bytes


class HttpsSource(Strict):
    """A file at an address."""

    kind: Literal["https"]
    url: str = Field(pattern=r"^https://[^\s/@?#]+/[^\s?#]*[^\s/?#]$")
    """Of one version for ever, such as that of a commit; without a user, password or query."""
    member_bytes: Bytes

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


class FileSource(Strict):
    """A file that the operator provides in a search folder."""

    kind: Literal["file"]
    file_name: str = Field(pattern=r"^[^/\\]+$")
    obtain: str = Field(min_length=1)
    """Where it can be had, for people."""
    member_bytes: Bytes


Source = Annotated[PypiSource | NpmSource | HttpsSource | FileSource, Field(discriminator="kind")]
