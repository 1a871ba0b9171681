"""Whatever lies on a topic or in the state store, its reader says what it is or that it is nothing, and goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.embedder.state import EmbedderState
from overt.messages import Message
from overt.picture import MAX_PIXELS, BadPicture, Picture
from overt.ports import KeyGone, NotAuthentic, Undecodable
from overt.runtime.codec import sealed_fields
from overt.runtime.vault import MAGIC
from tests.support import messages as make
from tests.support.fuzz import damaged, examples
from tests.support.messages import SCHEMAS
from tests.unit.test_codec import Site, record
from tests.unit.test_state_codec import Site as StateSite
from tests.unit.test_state_codec import track

MESSAGES = make.one_of_each()
STAND_FOR_NOTHING = (Undecodable, NotAuthentic, KeyGone)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@given(data=st.data(), message=st.sampled_from(MESSAGES), other=st.sampled_from(MESSAGES))
@examples(150)
def test_a_damaged_record_is_a_message_of_its_topic_or_one_of_three_errors(
    site: Site, data: st.DataObject, message: Message, other: Message
) -> None:
    """On its own topic, and on another's; opened, and as somebody without keys sees it."""
    value = data.draw(damaged(site.codec.encode(message), words=(site.codec.encode(other)[:5],)))
    for topic in (message, other):
        received = record(topic, value)
        try:
            assert type(site.codec.decode(received)) is type(topic)
        except STAND_FOR_NOTHING as error:
            _tells_nothing(error, value)
        try:
            hidden = {field["name"] for field in sealed_fields(SCHEMAS[type(topic).__name__])}
            assert not hidden & site.codec.peek(received).keys()
        except Undecodable as error:
            _tells_nothing(error, value)


@given(content=damaged(make.pixels().tobytes()) | damaged(make.picture().encoded("png"), words=(b"IHDR", b"IDAT")))
@examples(100)
def test_a_sealed_picture_that_is_none_is_refused_when_somebody_looks(site: Site, content: bytes) -> None:
    """Whoever holds a key can seal anything."""
    message = make.frame(image=Picture(encoded=content))
    received: Any = site.codec.decode(record(message, site.codec.encode(message)))
    try:
        height, width, channels = received.image.bgr().shape
    except BadPicture:
        return
    assert 0 < height * width <= MAX_PIXELS
    assert channels == 3


STATES = StateSite().codec()
STATE = STATES.dumps(EmbedderState((track("a"), track("b"))), "c1")


@given(value=damaged(STATE, words=(MAGIC,)))
@examples(150)
def test_a_damaged_state_is_one_that_opens_or_undecodable(value: bytes) -> None:
    try:
        assert type(STATES.loads(EmbedderState, value, "c1")) is EmbedderState
    except Undecodable as error:
        _tells_nothing(error, value)


def _tells_nothing(error: Exception, value: bytes) -> None:
    """An error's text reaches logs."""
    text = str(error).encode("utf-8", "replace")
    pieces = [value[at : at + 12] for at in range(5, len(value) - 12, 12)]
    assert not [piece for piece in pieces if any(piece) and piece in text]
