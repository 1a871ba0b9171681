"""A canary on its way off the disk."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from overt.ports import Record
from overt.runtime.canary import Canary, Control, seconds_on_disk


def planted(folder: Path) -> Canary:
    """Two records, each in a file of its own."""
    records = [Record("t", n, 0, "k", os.urandom(500), 0) for n in range(2)]
    for record in records:
        (folder / f"{record.partition}.log").write_bytes(bytes(300) + record.value + bytes(300))
    return Canary({}, records, (), time.monotonic())


def test_ciphertext_is_gone_when_the_last_file_that_holds_any_of_it_is(tmp_path: Path) -> None:
    canary = planted(tmp_path)
    (tmp_path / "0.log").unlink()
    threading.Timer(0.5, (tmp_path / "1.log").unlink).start()
    seconds = seconds_on_disk(canary, [tmp_path], 60.0)
    assert seconds is not None
    assert seconds > 0.4


def test_a_piece_that_stays_is_told(tmp_path: Path) -> None:
    canary = planted(tmp_path)
    os.truncate(tmp_path / "0.log", 340)
    (tmp_path / "1.log").unlink()
    said: list[str] = []
    assert seconds_on_disk(canary, [tmp_path], 0.5, said.append) is None
    assert said[0].startswith("1 of 2 records on disk")


def test_a_search_that_sees_nothing_or_keys_that_open_nothing_pass_no_control() -> None:
    assert Control(planted=6, found=6, opened=6).passed
    assert Control(planted=6, found=2, opened=2).passed, "another broker may have the others"
    assert not Control(planted=6, found=0, opened=0).passed
    assert not Control(planted=6, found=6, opened=5).passed
