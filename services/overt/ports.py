"""The contracts between the stages, the loop that drives them, and the world behind it.

A stage is pure: values in, values out; no input or output, clock, metric, log or configuration inside. There are three
outcomes for an item and no fourth: messages, a `Reject`, or an exception. `Unavailable` means that the world is away
(broker, Redis): nothing is committed and the same batch comes again. Any other exception makes the worker replay the
batch item by item from the state it had before; the item that fails again becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from overt.messages import Cause, Message, Vector

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
S = TypeVar("S")


class Unavailable(Exception):
    """The broker, Redis or another part is away. Whoever raises it has committed nothing; the loop tries again."""


class Fenced(Exception):
    """State was refused because a newer cause is stored: another replica has taken over while this one slept."""

    def __init__(self, service: str, cameras: Collection[str]) -> None:
        super().__init__(f"{service}: another replica has gone on with {', '.join(sorted(cameras))}")
        self.cameras = frozenset(cameras)
        """Those whose state was refused. What was saved with it is saved."""


class TooLarge(ValueError):
    """One record is larger than any broker of Overt accepts. It never went out; the others did nothing wrong."""


class KeyGone(Exception):
    """The key of a sealed payload does not exist any more: it expired or was destroyed. Nobody can open the bytes."""


class NotAuthentic(Exception):
    """A sealed payload was changed, or belongs to another deployment, field, camera or cause."""


class Reason(StrEnum):
    """Why an item was rejected. Each is a value of the `reason` label and of a dead letter's header."""

    UNDECODABLE = "undecodable"
    """The bytes are no record of a known schema."""
    KEY_GONE = "key_gone"
    """The key of its payload has expired, so it came too late to be opened."""
    NOT_AUTHENTIC = "not_authentic"
    """Its sealed payload was changed or belongs elsewhere."""
    BAD_PICTURE = "bad_picture"
    """Its picture cannot be decoded, or is larger than is accepted."""
    BAD_VECTOR = "bad_vector"
    """Its vector has a wrong dimension, is not finite or is not a unit vector."""
    WRONG_SPACE = "wrong_space"
    """Its vector belongs to another model space than the watchlist."""
    UNKNOWN_CAMERA = "unknown_camera"
    """Its camera is not in the deployment."""
    UNKNOWN_CATEGORY = "unknown_category"
    """Its watchlist category is not in the deployment."""
    UNENCODABLE = "unencodable"
    """Something that came of it cannot be sent: a picture that no file can hold, or more than a record may be."""
    ENTRY_REMOVED = "entry_removed"
    """It is about a watchlist entry that was removed meanwhile."""
    REFUSED = "refused"
    """The webhook's endpoint will never take it."""
    UNDELIVERED = "undelivered"
    """The webhook's endpoint did not take it in time."""
    FAILED = "failed"
    """The stage raised an exception on it twice."""


HARMLESS = frozenset({Reason.KEY_GONE, Reason.ENTRY_REMOVED, Reason.UNDELIVERED})
"""Rejects that an outage or a change of the watchlist explains. They are counted but do not count towards the limit
that pauses a partition."""


@dataclass(frozen=True, slots=True)
class Reject:
    """An item that cannot be processed, said as a value: `index` in the batch that was handed over, and why."""

    index: int
    reason: Reason


class Stage(Protocol[In, Out]):
    """A stateless stage: embedder, matcher.

    May block for as long as one model call takes. May raise anything; see the module. The order of its outputs is the
    order of the batch. It is called from one thread at a time.
    """

    def __call__(self, batch: Sequence[In], /) -> Iterable[Out | Reject]: ...


class StatefulStage(Protocol[S, In, Out]):
    """A stage with a memory for each camera: tracks (detector), confirmations (alerter).

    `step` never changes the state it is given: it returns the next one. What it returns must not depend on how items
    are cut into batches: step(s, a + b) equals step(step(s, a), b).
    """

    def fresh(self, key: str, /) -> S:
        """The state of a camera of which nothing is known yet."""
        ...

    def step(self, state: S, batch: Sequence[In], /) -> tuple[S, Iterable[Out | Reject]]: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic. `value` is bytes on a real bus, a message in the embedded one, None for a tombstone."""

    topic: str
    partition: int
    offset: int
    key: str
    value: Any
    timestamp_us: int
    headers: Mapping[str, str] = field(default_factory=dict)


TopicPartition = tuple[str, int]


class Rebalance(Protocol):
    """What a source tells its worker, always from inside `poll`."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """They go to another member now. Everything handed out has been finished and committed, or will come again."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """They are another member's already: discard, commit nothing."""
        ...


class Source(Protocol):
    """One member of a consumer group on some topics. At least once; in order within a partition."""

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None: ...

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to `most` records; an empty sequence after at most about `timeout_s`. Raises Unavailable."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Commits what follows the last record of each partition. Raises Unavailable; a partition that was lost is
        skipped silently, since its next owner decides."""
        ...

    def rewind(self, records: Sequence[Record]) -> None:
        """Makes the first record of each partition (and all after it) come again. Lost partitions are skipped."""
        ...

    def pause(self, partition: TopicPartition) -> None: ...

    def resume(self, partition: TopicPartition) -> None: ...

    def lag(self) -> Mapping[TopicPartition, int]:
        """Records behind the end for each assigned partition, as last heard; cheap, never blocks."""
        ...

    def spare(self) -> bool:
        """Whether it is in its group and has no partition, since there are more members than partitions; cheap."""
        ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Where records go. `produce` queues; `flush` is the only proof that they arrived."""

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Queues one record; without `partition` the key is hashed (murmur2_random). Raises Unavailable when full, and
        TooLarge, after which all else that was queued still goes out."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Returns when all that was queued is acknowledged; raises Unavailable when any is not."""
        ...

    def close(self) -> None: ...


class Log(Protocol):
    """Reading a topic outside any group: a watchlist's whole history, the last span of the alerts."""

    def read(self, topic: str, *, since_us: int | None = None) -> Iterable[Record]:
        """Everything from the beginning (or from the first record at or after `since_us`, by the bus's own clock) up
        to the end as it was when the call was made. Raises Unavailable."""
        ...

    def follow(self, topic: str) -> Follower:
        """A reader of all partitions from the beginning that keeps up with what comes."""
        ...


class Follower(Protocol):
    """Reads a whole topic and then what comes; every replica has its own and none commits."""

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]: ...

    def caught_up(self) -> bool:
        """Whether everything that was there when the follower was made has been handed out."""
        ...

    def close(self) -> None: ...


class Backlog(Protocol):
    """How many frames of a partition wait for the detector, so that a file waits instead of losing frames."""

    def unconsumed(self, partition: int) -> int: ...


class Codec(Protocol):
    """Messages to what a bus carries and back."""

    def encode(self, message: Message) -> Any:
        """Raises BadPicture for pixels that no file can hold, Unavailable when there is no key to seal with."""
        ...

    def decode(self, record: Record) -> Message:
        """Raises KeyGone, NotAuthentic, or Undecodable."""
        ...


class Undecodable(Exception):
    """Bytes that are no record of a known schema. The text says what was wrong and holds no content."""


class Custody(StrEnum):
    """Who keeps the key of a sealed payload, and how long."""

    TRANSIENT = "transient"
    """One key for a site and 10 s, alive 30 s, in memory only: frames, crops, vectors of everybody."""
    ALERT = "alert"
    """One key for each hour of alert images, in the keyring, destroyed after the alert retention."""
    ENTRY = "entry"
    """One key for each watchlist entry, in the keyring, destroyed with the entry."""


class Vault(Protocol):
    """Seals what is biometric. AES-256-GCM with 96 random nonce bits for each seal (NIST SP 800-38D)."""

    def seal(self, plain: bytes, *, custody: Custody, owner: str, context: bytes) -> bytes:
        """`owner` is the watchlist entry for ENTRY, the kind of the alert for ALERT, and is ignored for TRANSIENT;
        `context` is the associated data.
        Raises Unavailable; KeyGone when the entry's key was destroyed."""
        ...

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Raises KeyGone, NotAuthentic, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Saved:
    """A camera's state as kept between batches: encoded, with the last cause that it covers."""

    cause: Cause
    payload: bytes


class State(Protocol):
    """Where a service keeps what it knows of each camera. A save never overwrites a newer cause."""

    def load(self, service: str, key: str) -> Saved | None:
        """Raises Unavailable."""
        ...

    def save(self, service: str, states: Mapping[str, Saved]) -> None:
        """Cameras' states, all in one step. Raises Fenced where a newer cause is stored; Unavailable."""
        ...


class Leases(Protocol):
    """Who reads a camera: exactly one frame replica at a time.

    The number of a lease is a fencing number: every later holder's is higher, also after the store was wiped. It is
    the `source_epoch` of a live camera's frames.
    """

    def acquire(self, camera_id: str) -> int | None:
        """The number of the lease, or None while another holds it. Taking one's own lease again gives a new number.
        Raises Unavailable."""
        ...

    def renew(self, camera_id: str, epoch: int) -> bool:
        """Prolongs the lease; False when it is not held any more: stop reading at once. Raises Unavailable."""
        ...

    def held(self, camera_id: str, epoch: int) -> bool:
        """Whether the lease still stands by what this process knows, without asking: False after the lease's whole
        life without a successful renewal. Ask it before sending a frame; never blocks."""
        ...

    def release(self, camera_id: str, epoch: int) -> None:
        """Gives the lease up if it is still one's own. Raises Unavailable."""
        ...

    def progress(self, camera_id: str, frame_seq: int) -> None:
        """Notes the last frame of a repeatable source that the bus has acknowledged. It never goes back. Raises
        Unavailable."""
        ...

    def read_progress(self, camera_id: str) -> int | None:
        """The last frame noted by whoever read the source before; None: nobody did. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """The best entry of one subject for a probe."""

    subject_id: str
    entry_id: str
    category: str
    similarity: float


class Gallery(Protocol):
    """Answers open-set identification queries (ISO/IEC 19795-1): the nearest subjects for each probe.

    May be shared between threads. It may change between two searches and never within one; an entry that was removed
    is found by no search that begins afterwards, also where the gallery was handed out before.
    """

    space_id: str

    def search(self, probes: Vector, subjects: int, at_us: Sequence[int]) -> Sequence[Sequence[Candidate]]:
        """For each row of `probes`, float32 [N, D] of unit vectors, the best entry of up to `subjects` distinct
        subjects, most similar first; entries that are not valid at the probe's own time `at_us` never match. Fewer
        where fewer can be found. Ties go to the subject, then the entry, that sorts first."""
        ...

    def __len__(self) -> int:
        """Entries."""
        ...


Clock = Callable[[], int]
"""Microseconds since the Unix epoch."""
