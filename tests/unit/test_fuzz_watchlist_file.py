"""A sealed watchlist file that somebody else had in hands: what was written comes out of it, or it is refused."""

from __future__ import annotations

import copy
import io
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given

from overt.ports import Undecodable
from overt.runtime.avro import AvroFormat, LocalRegistry, Schema
from overt.runtime.watchlist.file import WatchlistFileError
from tests.support.fuzz import damaged, examples
from tests.support.messages import SCHEMAS, SPACE
from tests.unit.test_watchlist_file import Desk, people


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def test_a_damaged_file_gives_what_was_written_or_is_refused(desk: Desk) -> None:
    desk.written(people())
    path = desk.folder / "list.watchlist"
    whole = path.read_bytes()
    known = {entry.entry_id: entry.subject_id for entry in people()}

    @given(data=damaged(whole, words=(b"avro.codec", b"deflate", b"avro.schema", b'"null"', b'"array"')))
    @examples(100)
    def read(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(WatchlistFileError):
            for entry in desk.file().read(SPACE):
                assert known[entry.entry_id] == entry.subject_id

    read()


def test_blocks_that_unpack_to_more_than_there_is_memory_are_not_unpacked() -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    with pytest.raises(Undecodable, match="packed, as Overt never writes"):
        _read(_container(SCHEMAS["WatchlistEntry"], b"deflate", packed))


def test_a_schema_under_which_nothing_takes_for_ever_is_not_followed() -> None:
    """2^60 nothings are ten bytes, and a reader that skips them one by one never ends."""
    schema = copy.deepcopy(SCHEMAS["WatchlistEntry"])
    schema["fields"].insert(0, {"name": "nothings", "type": {"type": "array", "items": "null"}})
    with pytest.raises(Undecodable, match="none that Overt has written"):
        _read(_container(schema, b"null", _number(1 << 60) + bytes(100)))


@pytest.mark.parametrize("schema", ["[" * 5000, '{"type": "record"}', "7", "", '"WatchlistEntry"'])
def test_a_schema_that_is_none_is_refused(schema: str) -> None:
    with pytest.raises(Undecodable):
        _read(_container(schema, b"null", b""))


def test_a_length_beyond_the_file_allocates_nothing() -> None:
    container = _container(SCHEMAS["WatchlistEntry"], b"null", b"", claims=1 << 62)
    with pytest.raises(Undecodable):
        _read(container)


def _read(container: bytes) -> None:
    avro = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
    for _ in avro.read_container(io.BytesIO(container), "WatchlistEntry")[1]:
        pass


def _container(schema: Schema | str, codec: bytes, block: bytes, claims: int | None = None) -> bytes:
    """An Avro object container file of one record in one block (Avro 1.11, "Object Container Files")."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    pairs = {b"avro.codec": codec, b"avro.schema": text.encode()}
    header = _number(len(pairs)) + b"".join(_bytes(name) + _bytes(value) for name, value in pairs.items()) + _number(0)
    sync = bytes(range(16))
    return b"Obj\x01" + header + sync + _number(1) + _number(len(block) if claims is None else claims) + block + sync


def _bytes(value: bytes) -> bytes:
    return _number(len(value)) + value


def _number(value: int) -> bytes:
    """Avro's long: zigzag, seven bits a byte, the lowest first."""
    left, out = value << 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])
