"""Who was removed is in no memory of the matcher: looked for from outside, number by number."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from overt.matcher.live import Kind
from tests.support.memory_words import numbers_of
from tests.support.models import REPOSITORY
from tests.support.runs import environment

ENTRIES, DIMENSION = 600, 128
_BY_CHANCE = 0.2


@pytest.mark.parametrize("kind", list(Kind))
def test_a_removed_vector_is_nowhere_in_the_process(kind: Kind) -> None:
    """Neither in the rows nor in the index, nor where a product, a copy or a look-up had it for a moment; nor is one
    that was replaced. The search itself is checked with one that stays."""
    if kind is Kind.HNSW:
        pytest.importorskip("hnswlib")
    random = np.random.default_rng()  # other numbers each time: none is in this file
    vectors = random.standard_normal((ENTRIES + 1, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    removed, replaced, stays = (3, 599), 77, 78
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.gallery_process", kind.value, str(ENTRIES), str(DIMENSION)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env=environment(),
        bufsize=0,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(vectors.tobytes())
        assert child.stdout.readline() == b"holding\n"
        try:
            before = numbers_of(child.pid, vectors[[*removed, replaced, stays]])
        except PermissionError:
            pytest.skip("this system lets nobody look into a child's memory")
        assert before == [1.0, 1.0, 1.0, 1.0]
        child.stdin.write(" ".join(f"e{number}" for number in (*removed, replaced)).encode() + b"\n")
        for said in (b"removed\n", b"looked\n"):
            assert child.stdout.readline() == said
            *gone, kept = numbers_of(child.pid, vectors[[*removed, replaced, stays]])
            assert max(gone) < _BY_CHANCE, (said, gone)
            assert kept == 1
            child.stdin.write(b"\n")
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.communicate()
