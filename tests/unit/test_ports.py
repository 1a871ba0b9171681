"""The ports that tests start servers on: nobody is given another's."""

from __future__ import annotations

import socket
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.support import ports


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> range:
    """As if there were three ports only, which nobody else is given meanwhile."""
    found = [ports.free_port() for _ in range(3)]
    while found[2] != found[0] + 2:  # somebody else took one between, or one is in use
        found = [*found[1:], ports.free_port()]
    monkeypatch.setattr(ports, "_FIRST", found[0])
    monkeypatch.setattr(ports, "_END", found[2] + 1)
    return range(found[0], found[2] + 1)


def _taken(counter: Path, how_many: int) -> list[int]:
    return [ports.free_port(counter) for _ in range(how_many)]


def test_processes_that_ask_at_once_are_never_given_the_same(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        given = [port for taken in pool.map(partial(_taken, tmp_path / "counter"), [250] * 4) for port in taken]
    assert len(given) == len(set(given)) == 1000


def test_each_comes_again_after_all_the_others(few: range, tmp_path: Path) -> None:
    assert _taken(tmp_path / "counter", 6) == [*few, *few]


def test_one_that_somebody_listens_on_is_passed_over(few: range, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", few[1]))
        assert _taken(tmp_path / "counter", 4) == [few[0], few[2], few[0], few[2]]


def test_that_all_are_taken_is_said(few: range, tmp_path: Path) -> None:
    with ExitStack() as others:
        for port in few:
            others.enter_context(socket.socket()).bind(("127.0.0.1", port))
        with pytest.raises(RuntimeError, match=f"no port from {few[0]} to {few[2]} is free"):
            ports.free_port(tmp_path / "counter")
