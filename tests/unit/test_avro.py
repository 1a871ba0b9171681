"""The wire format: what was written is read back, and hostile bytes are one kind of error and no other."""

from __future__ import annotations

import json
import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overt.alerter.state import AlerterState, Cooldown, Evidence, TrackEvidence
from overt.detector.state import DetectorState
from overt.messages import TOPIC_OF, Embedding, Face, Pass, WatchlistEntry
from overt.picture import Picture
from overt.ports import Undecodable
from overt.runtime.avro import AvroFormat, LocalRegistry, SchemaError, Schemas, from_plain, local_id, to_plain
from overt.runtime.state_codec import StateCodec
from tests.support import messages as make
from tests.support.messages import SCHEMAS, plain, records

RECORDS: list[type[Any]] = [*TOPIC_OF, AlerterState, DetectorState]
NAMES = {cls.__name__: cls for cls in RECORDS}
STATE = AlerterState((TrackEvidence("t1", 5, False, (Evidence("A", 0.9, (1, 2)),)),), (Cooldown("A", "a1", 7),))


def avro() -> AvroFormat:
    return AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)


AVRO = avro()


def encoded(record: Any) -> bytes:
    """As a codec without a vault would write it: pictures as their files."""
    return AVRO.dumps(type(record).__name__, plain(record))


def decoded(cls: type[Any], data: object) -> Any:
    return from_plain(cls, AVRO.loads(cls.__name__, data))


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_record_comes_back_as_it_went(cls: type[Any], data: st.DataObject) -> None:
    record = data.draw(records(cls))
    back = decoded(cls, encoded(record))
    assert type(back) is cls
    assert plain(back) == plain(record)
    assert repr(back) == repr(record)  # types too: an enum is no text, a tuple no list


def test_the_header_is_a_zero_and_the_schemas_id() -> None:
    """The Confluent wire format: magic byte 0, then the id as 4 bytes, big-endian."""
    for record in [*make.one_of_each(), STATE]:
        header = encoded(record)[:5]
        assert header == struct.pack(">bI", 0, local_id(SCHEMAS[type(record).__name__]))


def test_ids_of_a_registry_are_asked_for_once_and_under_the_records_subject() -> None:
    asked: list[str] = []

    class Registry(LocalRegistry):
        def id_of(self, subject: str, schema: dict[str, Any]) -> int:
            asked.append(subject)
            return 77

        def schema_of(self, schema_id: int) -> dict[str, Any]:
            asked.append(str(schema_id))
            return SCHEMAS["Pass"]

    format_ = AvroFormat(SCHEMAS, Registry(SCHEMAS), lambda record: f"overt.{record}-value")
    for _ in range(3):
        data = format_.dumps("Pass", plain(make.passing()))
        assert data[:5] == b"\0\0\0\0\x4d"
        assert from_plain(Pass, format_.loads("Pass", data)) == make.passing()
    assert asked == ["overt.Pass-value", "77"]


@pytest.mark.parametrize("value", [None, "text", 5, bytearray(b"\0\0\0\0\0"), {"camera_id": "c1"}])
def test_what_is_not_bytes_is_undecodable(value: object) -> None:
    with pytest.raises(Undecodable):
        AVRO.loads("Frame", value)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\0", b"\x01\0\0\0\0rest", b'{"camera_id": 1}'])
def test_bytes_without_the_header_are_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable, match="header"):
        AVRO.loads("Frame", data)


def test_an_unknown_schema_id_is_undecodable() -> None:
    data = bytearray(encoded(make.passing()))
    data[1:5] = b"\xff\xff\xff\xff"
    with pytest.raises(Undecodable, match="no schema has the id 4294967295"):
        AVRO.loads("Pass", bytes(data))


@pytest.mark.parametrize("record", [*make.one_of_each(), STATE], ids=lambda r: type(r).__name__)
def test_bytes_cut_short_anywhere_are_undecodable(record: Any) -> None:
    data = encoded(record)
    step = max(1, len(data) // 400)
    for length in [*range(min(len(data), 120)), *range(120, len(data), step)]:
        with pytest.raises(Undecodable):
            decoded(type(record), data[:length])


@pytest.mark.parametrize("record", [*make.one_of_each(), STATE], ids=lambda r: type(r).__name__)
def test_bytes_left_over_are_undecodable(record: Any) -> None:
    for more in (b"\0", encoded(record)):
        with pytest.raises(Undecodable, match="left over"):
            AVRO.loads(type(record).__name__, encoded(record) + more)


@pytest.mark.parametrize("record", [*make.one_of_each(), STATE], ids=lambda r: type(r).__name__)
def test_a_record_is_never_read_as_another(record: Any) -> None:
    for name in NAMES.keys() - {type(record).__name__}:
        with pytest.raises(Undecodable):
            AVRO.loads(name, encoded(record))


@given(
    st.sampled_from([*make.one_of_each(), STATE]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=5),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_flipped_bytes_are_read_as_something_or_undecodable(
    record: Any, flips: list[tuple[int, int]], keep_header: bool
) -> None:
    data = bytearray(encoded(record))
    for at, value in flips:
        data[5 + at % (len(data) - 5) if keep_header else at % len(data)] = value
    try:
        read = decoded(type(record), bytes(data))
    except Undecodable:
        return
    assert type(read) is type(record)


@given(st.sampled_from(sorted(NAMES)), st.binary(max_size=200), st.booleans())
@settings(max_examples=500, deadline=None)
def test_garbage_behind_a_good_header_is_read_as_something_or_undecodable(
    name: str, garbage: bytes, honest: bool
) -> None:
    header = struct.pack(">bI", 0, local_id(SCHEMAS[name])) if honest else b"\0"
    try:
        read = decoded(NAMES[name], header + garbage)
    except Undecodable:
        return
    assert isinstance(read, NAMES[name])


def long(number: int) -> bytes:
    """Avro's variable-length zig-zag integer."""
    left, out = (number << 1) ^ (number >> 63), b""
    while left > 127:
        out, left = out + bytes([left & 127 | 128]), left >> 7
    return out + bytes([left])


@pytest.mark.parametrize("length", [2**62, 2**40, 2**31, -1, -(2**40), 10_000_000])
def test_a_hostile_length_is_undecodable_and_allocates_nothing(length: int) -> None:
    """The first field of a Pass is text, that of an AlerterState an array: both say how much comes."""
    for name in ("Pass", "AlerterState"):
        data = struct.pack(">bI", 0, local_id(SCHEMAS[name])) + long(length) + b"abc"
        tracemalloc.start()
        try:
            with pytest.raises(Undecodable):
                decoded(NAMES[name], data)
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


def test_a_record_beyond_the_largest_is_refused_unread() -> None:
    data = struct.pack(">bI", 0, local_id(SCHEMAS["Pass"])) + bytes(17 * 1024 * 1024)
    with pytest.raises(Undecodable, match="larger than"):
        AVRO.loads("Pass", data)


def test_the_largest_frame_that_is_sent_is_accepted() -> None:
    """A zone of a 4K picture can take so much as a PNG."""
    noise = np.random.default_rng(1).bytes(12 * 1024 * 1024)
    sent = plain(make.frame(image=None)) | {"image": noise}
    assert AVRO.loads("Frame", AVRO.dumps("Frame", sent))["image"] == noise


def test_what_is_said_of_bad_bytes_shows_none_of_them() -> None:
    data = encoded(make.passing(track_id="secret-track"))
    for bad in (data[:-2], data + b"secret", data.replace(b"secret", b"\xff\xfe\xff\xfe\xff\xfe")):
        with pytest.raises(Undecodable) as caught:
            AVRO.loads("Pass", bad)
        assert "secret" not in str(caught.value)
        assert "track" not in str(caught.value)
        assert caught.value.__cause__ is None  # nor does a traceback: the decoder's own error may quote them


def test_text_that_is_no_text_is_undecodable() -> None:
    data = encoded(make.passing(track_id="abcd")).replace(b"abcd", b"\xff\xfe\xc0\x80")
    with pytest.raises(Undecodable, match="UnicodeDecodeError"):
        AVRO.loads("Pass", data)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 513])
def test_a_vector_that_is_no_whole_number_of_floats_is_undecodable(size: int) -> None:
    for cls, made, name in (
        (Embedding, make.embedding(), "vector"),
        (Face, make.face(), "landmarks"),
        (WatchlistEntry, make.entry(), "vector"),
    ):
        data = AVRO.dumps(cls.__name__, plain(made) | {name: b"\1" * size})
        with pytest.raises(Undecodable, match="float32"):
            decoded(cls, data)


def test_vectors_travel_bit_for_bit_even_where_they_are_no_numbers() -> None:
    """Whoever compares them refuses them; the bus does not judge."""
    odd = np.array([math.nan, math.inf, -math.inf, -0.0, 1e-45, 3.4e38], np.float32)
    assert decoded(Embedding, encoded(make.embedding(vector=odd))).vector.tobytes() == odd.tobytes()


def test_a_vector_is_written_as_float32_little_endian_whatever_it_was() -> None:
    for written in (np.array([1.5, -2.0]), np.array([1.5, -2.0], ">f4"), np.array([1.5, 0, -2.0, 0], np.float32)[::2]):
        assert to_plain(make.embedding(vector=written))["vector"] == struct.pack("<2f", 1.5, -2.0)


def test_a_vector_that_was_read_is_float32_and_cannot_be_changed() -> None:
    """It shares the record's bytes: nobody may write into them."""
    vector = decoded(Embedding, encoded(make.embedding())).vector
    assert vector.dtype == np.float32
    assert not vector.flags.writeable


def test_pictures_that_were_read_are_not_decoded_before_somebody_looks() -> None:
    read = decoded(Face, AVRO.dumps("Face", plain(make.face()) | {"crop": b"no picture at all"}))
    assert isinstance(read.crop, Picture)
    assert read.crop.encoded("png") == b"no picture at all"


def test_a_state_comes_back_and_a_broken_one_says_so() -> None:
    codec = StateCodec(avro())
    data = codec.dumps(STATE, "c1")
    assert codec.loads(AlerterState, data, "c1") == STATE
    for bad in (data[:-1], data + b"\0", b"", b"\x80\x04pickle"):
        with pytest.raises(Undecodable):
            codec.loads(AlerterState, bad, "c1")


def test_a_folder_without_schemas_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=str(tmp_path)):
        Schemas(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "record", "name": "X"}', '{"type": "nothing"}'])
def test_a_schema_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.avsc").write_text(text)
    with pytest.raises(SchemaError, match=r"broken\.avsc"):
        Schemas(tmp_path)


def test_archived_schemas_are_known_by_id_and_never_written(tmp_path: Path) -> None:
    old = {**SCHEMAS["Pass"], "fields": SCHEMAS["Pass"]["fields"][:-1]}
    (tmp_path / "archive").mkdir()
    (tmp_path / "pass.avsc").write_text(json.dumps(SCHEMAS["Pass"]))
    (tmp_path / "archive" / "pass-1.avsc").write_text(json.dumps(old))
    schemas = Schemas(tmp_path)
    assert schemas["Pass"] == SCHEMAS["Pass"]
    assert LocalRegistry(schemas).schema_of(local_id(old)) == old
