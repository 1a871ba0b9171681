"""Images of cameras and watchlists are a stranger's bytes: pixels of a size that was accepted, or a refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.picture import MAX_PIXELS, BadPicture, Bgr, declared_size, decode
from overt.watchlist.pixels import pixels_of, quiet
from tests.support.fuzz import damaged, examples
from tests.unit.test_picture import SAMPLES, jpeg_that_declares, png_that_declares

WORDS = (
    *(
        b"\xff\xd8",
        b"\xff\xc0\x00\x11\x08",
        b"\xff\xc2",
        b"\xff\xda",
        b"\xff\xd9",
        b"\xff\xff",
        b"\xff\xe1\xff\xff",
        b"Exif\0\0",
    ),
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"acTL", b"tRNS", b"GIF89a", b"RIFF", b"\x89PNG\r\n\x1a\n"),
)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("read", [decode, pixels_of])
def test_a_damaged_image_has_the_size_that_it_declares_or_is_refused(sample: str, read: Callable[[bytes], Bgr]) -> None:
    quiet()

    @given(data=damaged(SAMPLES[sample], words=WORDS))
    @examples(40)
    def look(data: bytes) -> None:
        try:
            height, width, channels = read(data).shape
        except BadPicture:
            return
        assert channels == 3
        # An image that its camera held upright is turned.
        assert sorted((width, height)) == sorted(declared_size(data))

    look()


@given(width=st.integers(0, 0xFFFF), height=st.integers(0, 0xFFFF))
@examples(40)
def test_what_declares_too_many_pixels_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    """Small sizes are refused by the decoder, since there are no pixels in the files; large ones before it."""
    for data in (jpeg_that_declares(width, height), png_that_declares(width, height)):
        for read in (decode, pixels_of):
            if width * height > MAX_PIXELS:
                with pytest.raises(BadPicture, match=f"{width}x{height}"):
                    read(data)
