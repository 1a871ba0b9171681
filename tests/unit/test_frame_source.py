"""A camera's source: what its text means, and that no text about it gives a password away."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overt.frame.source import CameraError, SourceKind, parse_source, redact


@pytest.mark.parametrize(
    ("text", "kind", "live"),
    [
        ("rtsp://10.0.0.1/stream", SourceKind.RTSP, True),
        ("rtsps://user:pass@cam.example:322/stream?x=1", SourceKind.RTSP, True),
        ("usb:0", SourceKind.USB, True),
        ("recordings/gate.mp4", SourceKind.VIDEO, False),
        ("12:30 gate.gif", SourceKind.VIDEO, False),
    ],
)
def test_the_kind_is_told_from_the_text(text: str, kind: SourceKind, live: bool) -> None:
    """See the table in the module."""
    source = parse_source(text)
    assert (source.kind, source.live) == (kind, live)


def test_a_folder_is_told_from_a_file_by_looking(tmp_path: Path) -> None:
    """Their paths look the same."""
    assert parse_source(str(tmp_path)).kind is SourceKind.FOLDER


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("http://cam/video", "expected rtsp://"),
        ("rtsp://", "no host"),
        ("rtsp://user:pa/ss@host/x", "percent-encode"),
        ("rtsp://user:pa:ss:word/x", "percent-encode"),
    ],
)
def test_what_is_no_source_is_refused_with_what_to_write(text: str, says: str) -> None:
    """The text says what was expected."""
    with pytest.raises(CameraError, match=says):
        parse_source(text)


_secrets = st.text("abcXYZ0189/:@?#&=%.-_ ", min_size=6, max_size=12).map(lambda s: f"Se{s}cret")


@given(_secrets)
@example("Se@cret/x?y")
def test_no_text_about_a_source_holds_its_password(secret: str) -> None:
    """Whatever is in it, also characters that should have been encoded: neither name, repr nor error shows it."""
    address = f"rtsp://admin:{secret}@10.0.0.1:554/live"
    try:
        source = parse_source(address)
    except CameraError as error:
        said = str(error)
    else:
        said = source.name + repr(source)
    assert secret not in said
    assert "admin" not in said
    assert "Se" not in said


def test_a_redacted_address_still_tells_cameras_apart() -> None:
    """Host, port and path stay; a query, and path parts that look like parameters, go."""
    assert redact("rtsp://a:b@10.0.0.1:554/ch/1?token=x") == "rtsp://***@10.0.0.1:554/ch/1?***"
    assert redact("rtsp://10.0.0.1/user=admin_password=x_channel=1/main") == "rtsp://10.0.0.1/***/main"
    assert redact("rtsp://[2001:db8::1]:554/a") == "rtsp://[2001:db8::1]:554/a"
