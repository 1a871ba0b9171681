"""The byte search of `overt erasure verify`: it finds what is there, wherever it lies, and nothing else."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overt.erasure.batches import compressed_batches
from overt.erasure.known import SHORTEST, KnownContents, as_text, vector_as_text
from overt.erasure.search import Findings, Searcher
from overt.picture import Form, encode
from overt.ports import Custody
from overt.runtime.erasure import kept_bytes, payload_of
from overt.runtime.keys.key import OVERHEAD_BYTES
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.vault import HEADER_BYTES, MAGIC, SealingVault
from tests.support.messages import pixels, unit

BLOCK, KEPT = 512, 200
NOISE = np.random.default_rng(7)


def noise(count: int) -> bytes:
    return NOISE.bytes(count)


def searched(folder: Path, data: bytes, known: Mapping[str, bytes] | None = None, *, most_kept: int = KEPT) -> Findings:
    """What a search with small blocks finds in a file that holds `data`."""
    (folder / "data").write_bytes(data)
    findings = Findings()
    searcher = Searcher(known or {}, MAGIC, kept_bytes, most_kept=most_kept, block_bytes=BLOCK)
    searcher.look_into([folder], findings)
    return findings


def sealed(plain: bytes) -> bytes:
    vault = SealingVault("d1", MemoryTransientKeys(), None)
    return vault.seal(plain, custody=Custody.TRANSIENT, owner="", context=b"c")


# Pictures and known contents


@settings(max_examples=30, deadline=None)
@given(before=st.integers(0, 3 * BLOCK), after=st.integers(0, 2 * BLOCK), form=st.sampled_from(["jpeg", "png"]))
@example(before=BLOCK - 4, after=0, form="jpeg")
@example(before=BLOCK - KEPT - 1, after=BLOCK, form="png")
def test_a_picture_is_found_at_any_offset(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, form: Form
) -> None:
    picture = encode(pixels(), form)
    found = searched(tmp_path_factory.mktemp("s"), noise(before) + picture + noise(after))
    assert [(s.offset, s.what) for s in found.clear] == [(before, f"a {form.upper()}")]


@pytest.mark.parametrize(
    "beginning",
    [
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"\xff\xd8\xff\xe1\x3c\x0aExif\0\0",
        b"\xff\xd8\xff\xdb\0\x43\0",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_a_camera_s_and_a_telephone_s_pictures_are_found_too(tmp_path: Path, beginning: bytes) -> None:
    assert len(searched(tmp_path, noise(99) + beginning + noise(99)).clear) == 1


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_picture_within_a_text_is_found(tmp_path: Path, form: Form) -> None:
    text = as_text("p", encode(pixels(), form))["p in base64 (0)"]
    found = searched(tmp_path, b'<img src="data:image/x;base64,' + text + b'">')
    assert [s.what for s in found.clear] == [f"a {form.upper()} in base64"]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), before=st.integers(0, 2 * BLOCK), after=st.integers(0, BLOCK))
def test_any_31_bytes_of_a_known_content_are_found_at_any_offset(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, before: int, after: int
) -> None:
    known = {"one": noise(300), "two": noise(90), "three": noise(SHORTEST)}
    name = data.draw(st.sampled_from(sorted(known)))
    at = data.draw(st.integers(0, len(known[name]) - SHORTEST))
    piece = known[name][at : at + SHORTEST]
    found = searched(tmp_path_factory.mktemp("s"), noise(before) + piece + noise(after), known)
    assert [s.what for s in found.clear] == [name]
    assert before <= found.clear[0].offset < before + SHORTEST


def test_every_content_is_found_among_hundreds_and_told_once(tmp_path: Path) -> None:
    known = {f"n{i}": noise(40 + i) for i in range(300)}
    found = searched(tmp_path, b"".join(known.values()) * 2, known)
    assert sorted(s.what for s in found.clear) == sorted(known)


def test_noise_zeros_and_patterns_hold_nothing(tmp_path: Path) -> None:
    """Broker's index files are full of zeros, and so are blank parts of pictures."""
    known = {"half blank": bytes(500) + noise(500), "striped": b"\x12\x34\x56" * 200 + noise(100)}
    found = searched(tmp_path, bytes(5000) + noise(200_000) + b"\x12\x34\x56" * 1000, known)
    assert found.clear == []
    assert found.sealed == []
    assert found.bytes_read == 208_000


def test_eight_bytes_alone_may_be_chance(tmp_path: Path) -> None:
    content = noise(100)
    assert searched(tmp_path, noise(160) + content[:8] + noise(160), {"content": content}).clear == []
    assert searched(tmp_path, noise(160) + content[:16] + noise(160), {"content": content}).clear != []


def test_a_content_too_short_to_be_told_from_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="30 bytes"):
        KnownContents({"short": noise(SHORTEST - 1)})


def test_nothing_is_found_when_nothing_is_known() -> None:
    assert list(KnownContents({}).find(noise(1000))) == []


@pytest.mark.parametrize("skipped", range(3))
@pytest.mark.parametrize("how", ["hex", "base64", "repr", "json", "numpy"])
def test_a_vector_in_a_log_line_is_found(tmp_path: Path, how: str, skipped: int) -> None:
    vector = unit(3, 128)
    raw = noise(skipped) + vector.tobytes()
    line = {
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "repr": repr(raw),
        "json": json.dumps({"vector": vector.tolist()}),
        "numpy": f"{vector}",
    }[how]
    found = searched(tmp_path, f"2026-01-01 12:00 WARNING odd: {line}\n".encode(), vector_as_text("v", vector))
    assert found.clear
    assert all(s.what.startswith("v") for s in found.clear)


# Sealed payloads


@settings(max_examples=40, deadline=None)
@given(before=st.integers(0, 2 * BLOCK), after=st.integers(0, BLOCK), size=st.integers(0, 400))
@example(before=BLOCK - 2, after=9, size=400)
@example(before=BLOCK - KEPT, after=0, size=0)
def test_a_payload_is_found_once_and_whole_at_any_offset(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, size: int
) -> None:
    payload = sealed(bytes(size))
    found = searched(tmp_path_factory.mktemp("s"), noise(before) + payload + noise(after), most_kept=1000)
    assert [(f.offset, f.data) for f in found.sealed] == [(before, payload)]


def test_payloads_next_to_each_other_are_all_found(tmp_path: Path) -> None:
    payloads = [sealed(noise(i)) for i in range(60)]
    found = searched(tmp_path, b"".join(payloads), most_kept=1000)
    assert [f.data for f in found.sealed] == payloads


@settings(max_examples=40, deadline=None)
@given(left=st.integers(HEADER_BYTES, HEADER_BYTES + OVERHEAD_BYTES + 99))
def test_a_payload_cut_by_the_end_of_a_file_is_kept_as_far_as_it_goes(
    tmp_path_factory: pytest.TempPathFactory, left: int
) -> None:
    payload = sealed(noise(100))
    (found,) = searched(tmp_path_factory.mktemp("s"), noise(BLOCK + 5) + payload[:left]).sealed
    cut = payload_of(found)
    assert cut is not None
    assert cut.ciphertext.length == 100
    assert cut.ciphertext.nonce + cut.ciphertext.body == payload[HEADER_BYTES:][: min(left - HEADER_BYTES, 112)]


def test_of_a_picture_s_payload_only_its_beginning_is_kept() -> None:
    """A broker's disk holds more of them than a memory does."""
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look("here", sealed(bytes(100_000)), findings)
    assert len(findings.sealed[0].data) < 150


@pytest.mark.parametrize("change", [b"OVT\x02", b"OVT\x01x", b"OVT\x01t"])
def test_what_only_looks_like_a_payload_is_none(change: bytes) -> None:
    """Another version's magic, a custody that does not exist, a length too short for a nonce and a tag."""
    data = change.ljust(29, b"\0") + (OVERHEAD_BYTES - 1).to_bytes(4, "big") + noise(100)
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look("here", data, findings)
    assert findings.sealed == []


# Files


def test_every_file_below_a_folder_is_read_once_and_links_are_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "deep").mkdir(parents=True)
    outside.mkdir()
    for folder in (inside, inside / "deep", outside):
        (folder / "f").write_bytes(encode(pixels(), "png"))
    (inside / "link").symlink_to(outside)
    (inside / "deep" / "up").symlink_to(inside)
    (inside / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(inside / "pipe")
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look_into([inside, inside / "f"], findings)
    expected = [inside / "deep" / "f", inside / "f", inside / "link" / "f"]
    assert [s.place for s in findings.clear] == [str(path) for path in expected]
    assert (findings.places, findings.unreadable) == (3, [])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    findings = Findings()
    Searcher({}, MAGIC, kept_bytes).look_into([tmp_path], findings)
    assert len(findings.unreadable) == 1
    assert findings.unreadable[0].startswith(f"{tmp_path / 'round'}: ")


def test_a_file_that_is_cut_while_it_is_read_does_no_harm(tmp_path: Path) -> None:
    """A broker does that to its indices whenever it begins a new segment."""
    path = tmp_path / "index"
    path.write_bytes(sealed(b"x") + noise(100 * BLOCK))

    def keep(head: bytes) -> int:
        os.truncate(path, 10)
        return 1

    findings = Findings()
    Searcher({}, MAGIC, keep, most_kept=KEPT, block_bytes=BLOCK).look_into([path], findings)
    assert len(findings.sealed) == 1
    assert findings.bytes_read < 10 * BLOCK


# Compressed batches


def batch(attributes: int, body: int) -> bytes:
    """A record batch as a segment holds it, by Kafka's documentation."""
    head = (5).to_bytes(8, "big") + (49 + body).to_bytes(4, "big") + bytes(4) + b"\x02" + bytes(4)
    return head + attributes.to_bytes(2, "big") + noise(38 + body)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_segment_with_a_compressed_batch_is_told(tmp_path: Path, codec: int) -> None:
    for name, batches in {
        "t.frames-0": [batch(0, 10), batch(8, 300), batch(codec, 10)],
        "t.frames-1": [batch(0, 10), batch(8, 300)],
        "other-0": [batch(codec, 10)],
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000000000000000000.log").write_bytes(b"".join(batches) + bytes(500))
    assert compressed_batches(tmp_path, "t.") == [str(tmp_path / "t.frames-0" / "00000000000000000000.log")]
