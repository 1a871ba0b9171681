"""What a sealed watchlist file says of itself in the clear, when it may be used, and who was on it, by pseudonyms.

The file itself (`overt.runtime.watchlist.file`) is an Avro container of sealed entries. Its manifest holds no biometric
and no name, and is bound to the entries by a hash and to the deployment's keyring by a tag.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from overt.messages import WatchlistEntry

SUFFIX = ".watchlist"
"""How a sealed watchlist file's name ends."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Manifest(_Strict):
    """A sealed watchlist file's account of itself."""

    format: Literal[1] = 1
    list_id: str
    deployment_id: str
    space_id: str
    """Model space of the vectors."""
    embedder: str
    """Name of the model that enrolled them: for whoever has to enrol anew."""
    created_at_us: int
    expires_at_us: int
    """From then on the file is refused, and its keys are destroyed at the next opportunity."""
    entries: int = Field(ge=0)
    subjects: int = Field(ge=0)
    by_category: Mapping[str, int]
    """Entries of each category."""
    content_sha256: str
    """Of the sealed records, in their order."""

    def canonical(self) -> bytes:
        """The bytes that the tag is made of: JSON, its keys in the order of the fields."""
        return self.model_dump_json().encode()


def counts(entries: Iterable[WatchlistEntry]) -> tuple[int, int, dict[str, int]]:
    """Entries, subjects, and entries of each category."""
    by_category: Counter[str] = Counter()
    subjects: set[str] = set()
    for entry in entries:
        by_category[entry.category] += 1
        subjects.add(entry.subject_id)
    return by_category.total(), len(subjects), dict(sorted(by_category.items()))


def why_unusable(manifest: Manifest, *, deployment_id: str, space_id: str | None, now_us: int) -> str | None:
    """Why a file may not be used here and now, and what to do; None when it may. `space_id`: None does not ask."""
    if manifest.deployment_id != deployment_id:
        return (
            f"it was made for deployment {manifest.deployment_id}, this is {deployment_id}: a watchlist belongs to one "
            "deployment; build one for this one with `overt watchlist build`"
        )
    if now_us >= manifest.expires_at_us:
        return f"it ended at {moment(manifest.expires_at_us)} and cannot be used any more: build a new one"
    if space_id is not None and manifest.space_id != space_id:
        return (
            f"its vectors are of model space {manifest.space_id} ({manifest.embedder}), the deployment's model makes "
            f"{space_id}: enrol its images again with `overt watchlist build SOURCE --out FILE -d DEPLOYMENT`"
        )
    return None


def moment(at_us: int) -> str:
    """Microseconds since the Unix epoch as people read them."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds")


class Pseudonyms(_Strict):
    """Answers "was this person on the list?" after the list has gone, without a biometric and without a subject's id.

    A member is the HMAC-SHA-256 (RFC 2104) of the subject's id under a key that is made from the deployment key: who
    does not hold that key cannot even try ids. Keep the deployment key for as long as the question may be asked.
    """

    format: Literal[1] = 1
    list_id: str
    deployment_id: str
    content_sha256: str | None
    """Of the file that it speaks of; None where the list was on Kafka only."""
    written_at_us: int
    subjects: tuple[str, ...]
    """Sorted, so that their order tells nothing."""

    def includes(self, subject_id: str, key: bytes) -> bool:
        """Whether this subject was on the list."""
        return pseudonym(subject_id, self.list_id, key) in self.subjects


def hidden(subjects: Iterable[str], list_id: str, key: bytes) -> tuple[str, ...]:
    """The pseudonyms of subjects on one list. They differ from list to list, so that two cannot be compared."""
    return tuple(sorted({pseudonym(subject, list_id, key) for subject in subjects}))


def pseudonym(subject_id: str, list_id: str, key: bytes) -> str:
    """A subject's pseudonym on one list, in hexadecimal."""
    return hmac.new(key, f"{list_id}\x1f{subject_id}".encode(), hashlib.sha256).hexdigest()


_GONE = (
    "The keys of the list's entries exist in the deployment's keyring no more, so no copy of the file or of a topic's "
    "records can be opened with it. Not covered: a backup of the keyring together with the deployment key; blocks that "
    "a solid-state disk or a copying file system keeps."
)
_HELD = " Not covered either: what matchers that have not confirmed hold in their memory until they end."


class Destruction(_Strict):
    """The certificate that a watchlist was destroyed: who, when, why, and what of it remains."""

    format: Literal[2] = 2
    list_id: str
    deployment_id: str
    content_sha256: str | None
    """Of the sealed file; None where there was none and the list was on Kafka only."""
    created_at_us: int | None
    """When the file was made."""
    destroyed_at_us: int
    destroyed_by: str
    reason: str
    entries: int
    """Of the file, and of the deployment's topic where it was destroyed there too."""
    keys_destroyed: int
    """Entries whose keys were destroyed now; those of removed entries had gone before."""
    keys_left: int
    """Entries of the list that could still be opened. Anything but 0 is a failure."""
    files_overwritten: tuple[str, ...]
    published: Literal["never", "removed", "left"]
    """Whether the deployment's list was ever published to running matchers, and what became of it there."""
    matchers: int
    """Matchers that ran and have confirmed that nobody is on their list any more; what an index of theirs holds is
    overwritten or let go within five seconds of that."""
    matchers_missing: int
    """Matchers that ran and have not. Anything but 0 is a failure."""

    statement: str
    """The same in words, and what is not covered: `statement`."""

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        return self.model_dump_json().encode()


def statement(*, held: bool) -> str:
    """A certificate in words. held: matchers may still have the list in their memory."""
    return _GONE + (_HELD if held else "")


def signed(certificate: Destruction, public_key: str, signature: str) -> dict[str, Any]:
    """The certificate as it is written, with its Ed25519 signature over `canonical`, in hexadecimal."""
    return {"certificate": certificate.model_dump(), "public_key": public_key, "signature": signature}
