"""What travels sealed: never in the clear, never openable elsewhere than where it was sealed, never encoded twice."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overt.messages import TOPIC_OF, Alert, Embedding, Face, Frame, Kind, Match, Message, WatchlistEntry
from overt.picture import Form, Picture
from overt.ports import Custody, KeyGone, NotAuthentic, Record, Undecodable
from overt.runtime.avro import AvroFormat, LocalRegistry, to_plain
from overt.runtime.codec import PassingCodec, SealingCodec, seal_context, sealed_fields
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.vault import SealingVault
from tests.support import messages as make
from tests.support.messages import SCHEMAS, plain, records

MAGICS = (b"\xff\xd8\xff", b"\x89PNG", b"IHDR", b"JFIF")
SEALED = [m for m in make.one_of_each() if sealed_fields(SCHEMAS[type(m).__name__])]


class Site:
    """A deployment's codec with its keys: codecs of one site open each other's records."""

    def __init__(self, folder: Path, deployment_id: str = "d1") -> None:
        create_deployment_key(folder / f"{deployment_id}.key")
        key = load_deployment_key(folder / f"{deployment_id}.key")
        self.now_us = 0
        self.elapsed_s = 0.0
        self.keyring = Keyring(folder / f"{deployment_id}.keyring", key, deployment_id, clock=lambda: self.now_us)
        self.keyring.create_file()
        self.keyring.create_entry_key("A/1")
        self.transient = MemoryTransientKeys(elapsed=lambda: self.elapsed_s)
        self.codec = self.with_deployment(deployment_id)

    def with_deployment(self, deployment_id: str, frame_form: Form = "png") -> SealingCodec:
        vault = SealingVault(deployment_id, self.transient, self.keyring, clock=lambda: self.now_us)
        return SealingCodec(wire(), vault, prefix="overt.", frame_form=frame_form)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def record(message: Message, value: Any) -> Record:
    return Record("overt." + TOPIC_OF[type(message)], 0, 5, message.key, value, 0)


def there_and_back(codec: SealingCodec, message: Message) -> Any:
    return codec.decode(record(message, codec.encode(message)))


def secrets(message: Message) -> dict[str, bytes]:
    """Each sealed field as the bytes that must not be found."""
    fields = [f["name"] for f in sealed_fields(SCHEMAS[type(message).__name__])]
    values = {name: getattr(message, name) for name in fields if getattr(message, name) is not None}
    return {n: v.bgr().tobytes() if isinstance(v, Picture) else v.tobytes() for n, v in values.items()}


def wire() -> AvroFormat:
    return AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)


def fields_of(message: Message, data: bytes) -> dict[str, Any]:
    """A record's fields as they travel: what somebody sees who reads the broker and holds no key."""
    return wire().loads(type(message).__name__, data)


def forged(message: Message, fields: dict[str, Any], **changes: Any) -> Record:
    """The record with fields changed, as somebody could who writes to the broker and holds no key."""
    return record(message, wire().dumps(type(message).__name__, {**fields, **changes}))


def name_of(message: object) -> str:
    return type(message).__name__ if dataclasses.is_dataclass(message) else str(message)


each_sealed = pytest.mark.parametrize("message", SEALED, ids=name_of)
each_message = pytest.mark.parametrize("message", make.one_of_each(), ids=name_of)


@pytest.mark.parametrize("cls", TOPIC_OF, ids=lambda c: c.__name__)
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_message_comes_back_with_its_vectors_exact_and_its_pictures_in_size(
    site: Site, cls: type[Any], data: st.DataObject
) -> None:
    message = data.draw(records(cls))
    if isinstance(message, WatchlistEntry):
        site.keyring.create_entry_key(message.entry_id)
    back = there_and_back(site.codec, message)
    assert type(back) is cls
    for field in dataclasses.fields(back):
        sent, got = getattr(message, field.name), getattr(back, field.name)
        if isinstance(sent, Picture):
            assert got.bgr().shape == sent.bgr().shape
        elif isinstance(sent, np.ndarray):
            assert got.tobytes() == sent.tobytes()
        else:
            assert got == sent


@each_sealed
@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_nothing_that_is_sealed_travels_in_the_clear(site: Site, message: Message, form: Form) -> None:
    """Neither a picture file's first bytes nor a run of raw floats or pixels stands in the record."""
    flat = Picture(bgr=np.full((64, 64, 3), 77, np.uint8))  # a file with long runs that would show through
    flats: Any = {f.name: flat for f in dataclasses.fields(message) if isinstance(getattr(message, f.name), Picture)}
    for made in (message, dataclasses.replace(message, **flats)):
        data = site.with_deployment("d1", form).encode(made)
        assert not [magic for magic in MAGICS if magic in data]
        for name, secret in secrets(made).items():
            for at in range(0, len(secret) - 8, 8):
                assert secret[at : at + 8] not in data, f"{name} at byte {at}"
        files = [v.encoded("png") for v in to_plain(made).values() if isinstance(v, Picture)]
        assert not [at for file in files for at in range(0, len(file) - 8, 8) if file[at : at + 8] in data]


@each_sealed
def test_one_message_sealed_twice_shares_no_ciphertext(site: Site, message: Message) -> None:
    one, two = (fields_of(message, site.codec.encode(message)) for _ in range(2))
    fields = list(secrets(message))
    assert fields
    for field in fields:
        bodies = [fields_[field][33:] for fields_ in (one, two)]  # behind the header, which names the key
        windows = [{body[at : at + 8] for at in range(len(body) - 7)} for body in bodies]
        assert not windows[0] & windows[1]
    assert {n: v for n, v in one.items() if n not in fields} == {n: v for n, v in two.items() if n not in fields}


def moves(message: Message) -> list[tuple[str, Any]]:
    """Each part of the associated data, with another value."""
    context = SCHEMAS[type(message).__name__]["overt.context"]
    other: dict[type, Any] = {str: "other", int: 99, Kind: Kind.MISSING}
    return [(name, other[type(getattr(message, name))]) for name in context]


@pytest.mark.parametrize(("message", "field", "value"), [(m, *move) for m in SEALED for move in moves(m)], ids=name_of)
def test_a_payload_moved_to_another_camera_frame_face_or_entry_does_not_open(
    site: Site, message: Message, field: str, value: Any
) -> None:
    fields = fields_of(message, site.codec.encode(message))
    assert fields[field] != value
    with pytest.raises(NotAuthentic):
        site.codec.decode(forged(message, fields, **{field: value}))


def test_a_payload_is_bound_to_where_it_comes_from_and_to_whom_its_record_speaks_of() -> None:
    """The list behind the test above: a schema that lost one of these would make it pass for the wrong reason."""
    bound = {type(m).__name__: SCHEMAS[type(m).__name__]["overt.context"] for m in SEALED}
    frame = {"camera_id", "source_epoch", "frame_seq", "captured_at_us"}
    face = frame | {"face_index", "track_id"}
    match = face | {"subject_id", "entry_id", "category", "kind"}
    validity = {"valid_from_us", "valid_until_us"}
    assert {name: set(context) for name, context in bound.items()} == {
        "Frame": frame,
        "Face": face,
        "Embedding": face | {"space_id"},
        "Match": match,
        "Alert": match | {"alert_id", "deployment_id"},
        "WatchlistEntry": {"entry_id", "deployment_id", "subject_id", "category", "kind", "space_id"} | validity,
    }


@each_sealed
def test_a_payload_moved_to_another_field_does_not_open(site: Site, message: Message) -> None:
    names = [f["name"] for f in sealed_fields(SCHEMAS[type(message).__name__])]
    for one, two in itertools.permutations(names, 2):
        fields = fields_of(message, site.codec.encode(message))
        with pytest.raises(NotAuthentic):
            site.codec.decode(forged(message, fields, **{one: fields[two]}))


def test_a_payload_moved_to_another_kind_of_record_does_not_open(site: Site) -> None:
    """A passer-by's thumbnail of the same face cannot be passed off as an alert's."""
    face = fields_of(make.face(), site.codec.encode(make.face()))
    for other, field in ((make.embedding(), "thumbnail"), (make.match(), "thumbnail"), (make.alert(), "probe_image")):
        fields = fields_of(other, site.codec.encode(other))
        with pytest.raises(NotAuthentic):
            site.codec.decode(forged(other, fields, **{field: face["thumbnail"]}))


@each_sealed
def test_another_deployment_does_not_open_it_even_with_the_same_keys(site: Site, message: Message) -> None:
    data = site.codec.encode(message)
    with pytest.raises(NotAuthentic):
        site.with_deployment("d2").decode(record(message, data))


@each_sealed
def test_another_deployments_keys_do_not_open_it(site: Site, tmp_path: Path, message: Message) -> None:
    with pytest.raises(KeyGone):
        Site(tmp_path, "d2").codec.decode(record(message, site.codec.encode(message)))


@each_sealed
def test_a_changed_bit_of_a_payload_does_not_open(site: Site, message: Message) -> None:
    fields = fields_of(message, site.codec.encode(message))
    for name in secrets(message):
        for at in (-1, 20, 40, 50):  # the tag, the key's id, the nonce, the ciphertext
            sealed = bytearray(fields[name])
            sealed[at] ^= 1
            with pytest.raises((NotAuthentic, KeyGone) if at == 20 else NotAuthentic):
                site.codec.decode(forged(message, fields, **{name: bytes(sealed)}))


@pytest.mark.parametrize("claimed", [b"", b"plain bytes", b"\xff\xd8\xff\xe0" * 30])
@each_sealed
def test_a_payload_that_was_never_sealed_is_not_believed(site: Site, message: Message, claimed: bytes) -> None:
    fields = fields_of(message, site.codec.encode(message))
    for name in secrets(message):
        with pytest.raises(NotAuthentic):
            site.codec.decode(forged(message, fields, **{name: claimed}))


@given(st.sampled_from(SEALED), st.lists(st.tuples(st.integers(5, 9999), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_bytes_give_one_of_three_errors_and_no_other(
    site: Site, message: Message, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(site.codec.encode(message))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        read = site.codec.decode(record(message, bytes(data)))
    except (Undecodable, NotAuthentic, KeyGone):
        return
    assert type(read) is type(message)


@each_message
def test_a_peek_shows_what_is_in_the_clear_and_needs_no_key(site: Site, tmp_path: Path, message: Message) -> None:
    data = site.codec.encode(message)
    seen = Site(tmp_path, "other").codec.peek(record(message, data))
    hidden = {f["name"] for f in sealed_fields(SCHEMAS[type(message).__name__])}
    assert seen == {name: value for name, value in plain(message).items() if name not in hidden}
    assert not [value for value in seen.values() if isinstance(value, bytes)]


def test_a_peek_at_what_is_no_record_is_undecodable(site: Site) -> None:
    for value in (None, b"", b"\0\0\0\0\0", site.codec.encode(make.match())):
        with pytest.raises(Undecodable):
            site.codec.peek(record(make.alert(), value))


def test_frames_as_png_lose_nothing_and_as_jpeg_are_smaller(site: Site) -> None:
    ramp = np.add.outer(np.arange(90), np.arange(120))[..., None] + np.random.default_rng(1).integers(
        0, 9, (90, 120, 3)
    )
    smooth = ramp.astype(np.uint8)
    form: Form
    sizes: dict[Form, int] = {}
    for form in ("png", "jpeg"):
        codec = site.with_deployment("d1", form)
        frame = make.frame(image=Picture(bgr=smooth))
        sizes[form] = len(codec.encode(frame))
        got: Frame = there_and_back(codec, frame)
        assert got.image is not None
        assert np.array_equal(got.image.bgr(), smooth) == (form == "png")
    assert sizes["jpeg"] < sizes["png"] / 2


def test_crops_are_lossless_whatever_the_form_of_frames(site: Site) -> None:
    """The model must see over Kafka what it sees embedded."""
    form: Form
    for form in ("png", "jpeg"):
        face: Face = there_and_back(site.with_deployment("d1", form), make.face(crop=make.picture(2)))
        assert np.array_equal(face.crop.bgr(), make.pixels(2))


def test_the_end_of_a_source_and_a_missing_context_travel_as_nothing(site: Site) -> None:
    assert there_and_back(site.codec, make.frame(image=None, end=True)) == make.frame(image=None, end=True)
    assert there_and_back(site.codec, make.match(context=None)).context is None


def test_a_carried_picture_is_encoded_once_on_its_way_from_face_to_alert(site: Site) -> None:
    """Each stage hands on the bytes that it received: no loss adds up, and no time is spent."""
    face: Face = there_and_back(site.codec, make.face())
    sent = (face.thumbnail.encoded("jpeg"), face.context.encoded("jpeg") if face.context else b"")
    assert sent[0][:2] == b"\xff\xd8"
    probe: Embedding = there_and_back(site.codec, make.embedding(thumbnail=face.thumbnail, context=face.context))
    match: Match = there_and_back(site.codec, make.match(thumbnail=probe.thumbnail, context=probe.context))
    alert: Alert = there_and_back(site.codec, make.alert(probe_image=match.thumbnail, context=match.context))
    assert alert.context is not None
    assert (alert.probe_image.encoded("png"), alert.context.encoded("png")) == sent


def test_a_passer_by_cannot_be_opened_when_the_transient_key_has_gone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    sent = [(m, site.codec.encode(m)) for m in (make.frame(), make.face(), make.embedding())]
    for message, data in sent:
        assert type(site.codec.decode(record(message, data))) is type(message)
    site.elapsed_s = 31
    for message, data in sent:
        with pytest.raises(KeyGone):
            site.codec.decode(record(message, data))
        assert site.codec.peek(record(message, data))["camera_id"] == "c1"


def test_matches_alerts_and_entries_outlive_transient_keys_and_end_with_their_own(tmp_path: Path) -> None:
    site = Site(tmp_path)
    sent = [(m, site.codec.encode(m)) for m in (make.match(), make.alert(), make.entry())]
    site.elapsed_s = 3600
    for message, data in sent:
        assert type(site.codec.decode(record(message, data))) is type(message)
    site.now_us = 26 * 3_600_000_000  # the hour, a day of retention, and one more hour
    site.keyring.destroy_entry_key("A/1")
    for message, data in sent:
        with pytest.raises(KeyGone):
            site.codec.decode(record(message, data))


def test_an_entry_is_sealed_under_its_own_key_only(site: Site) -> None:
    with pytest.raises(KeyGone, match="B/1"):
        site.codec.encode(make.entry(entry_id="B/1"))


def test_a_sealed_vector_of_a_wrong_length_is_undecodable(site: Site) -> None:
    """It opens, so somebody with a key sealed it: a broken producer, and still no crash."""
    probe = make.embedding()
    fields = fields_of(probe, site.codec.encode(probe))
    context = seal_context(SCHEMAS["Embedding"], "vector", fields)
    vault = SealingVault("d1", site.transient, site.keyring)
    sealed = vault.seal(b"\0" * 30, custody=Custody.TRANSIENT, owner="", context=context)
    with pytest.raises(Undecodable, match="float32"):
        site.codec.decode(forged(probe, fields, vector=sealed))


def test_a_record_of_another_kind_on_a_topic_is_undecodable(site: Site) -> None:
    for message, value in itertools.permutations(make.one_of_each(), 2):
        with pytest.raises(Undecodable):
            site.codec.decode(record(message, site.codec.encode(value)))


def test_the_embedded_codec_hands_over_the_message_itself() -> None:
    message = make.frame()
    assert PassingCodec().encode(message) is message
    assert PassingCodec().decode(record(message, message)) is message


def test_a_records_first_bytes_are_the_wire_formats(site: Site) -> None:
    for message in make.one_of_each():
        magic, _ = struct.unpack_from(">bI", site.codec.encode(message))
        assert magic == 0
