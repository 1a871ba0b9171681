"""Templates of an evaluation set, kept so that each image costs its models once.

They are biometrics of the people in that set. They lie in a folder that only its owner can enter, one file for each
recipe, keyed by the image's sha256: no name, no path. Deleting the folder deletes them; it is never part of a project.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from overt.evaluation.recipe import Recipe
from overt.messages import Vector

_COMMIT_S = 2.0
"""What is made in this time may be lost when the process is killed."""
_UNIT = 1e-3  # a unit vector's norm may be off by this


class CacheError(Exception):
    """The cache's file cannot be used. The text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of one image: a unit vector, or the name of the reason why there is none."""

    failure: str | None
    eyes_px: float
    vector: Vector | None = field(repr=False)


class Cache:
    """The templates of one recipe. Several processes may use it at once. Use as a context manager; see `open_cache`."""

    def __init__(self, path: Path, rows: sqlite3.Connection, dimension: int) -> None:
        self._path, self._rows, self._dimension = path, rows, dimension
        self._committed_s = time.monotonic()

    def get(self, key: str) -> Row | None:
        """The row of an image; None where there is none, or what there is is no unit vector of the space."""
        found = self._do("SELECT failure, eyes_px, vector FROM template WHERE key = ?", (key,))
        if found is None:
            return None
        failure, eyes_px, data = found
        if failure is not None:
            return Row(failure, eyes_px, None)
        vector = np.frombuffer(data, "<f4").astype(np.float32) if len(data) == 4 * self._dimension else None
        if vector is None or not abs(float(np.linalg.norm(vector)) - 1) < _UNIT:  # NaN is not below
            return None
        return Row(None, eyes_px, vector)

    def put(self, key: str, row: Row) -> None:
        """Keeps a row; it is on disk within two seconds of further calls, or after `commit`."""
        data = None if row.vector is None else row.vector.astype("<f4").tobytes()
        self._do("INSERT OR REPLACE INTO template VALUES (?, ?, ?, ?)", (key, row.failure, row.eyes_px, data))
        if time.monotonic() - self._committed_s > _COMMIT_S:
            self.commit()

    def clear(self) -> None:
        """Forgets every row: they were made by code that made others."""
        self._do("DELETE FROM template", ())
        self.commit()

    def commit(self) -> None:
        """Brings all rows to the disk."""
        try:
            self._rows.commit()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        self._committed_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._rows.commit()  # also after Ctrl-C: what was made is made
        finally:
            self._rows.close()

    def _do(self, statement: str, values: tuple[object, ...]) -> tuple[str | None, float, bytes] | None:
        try:
            found: tuple[str | None, float, bytes] | None = self._rows.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found

    def _unusable(self, error: sqlite3.Error) -> CacheError:
        return CacheError(f"{self._path}: the cache cannot be used ({error}); delete this file, or give --no-cache")


def open_cache(folder: Path, recipe: Recipe) -> Cache:
    """The cache of a recipe in a folder of its own, mode 0700. Raises CacheError."""
    path = folder / f"templates-{recipe.key()}.sqlite"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        path.touch(mode=0o600)
        rows = sqlite3.connect(path, timeout=60)
        rows.execute("PRAGMA secure_delete = ON")  # rows that are forgotten are overwritten
        rows.execute(
            "CREATE TABLE IF NOT EXISTS template "
            "(key TEXT PRIMARY KEY, failure TEXT, eyes_px REAL NOT NULL, vector BLOB)"
        )
        rows.commit()
    except (OSError, sqlite3.Error) as error:
        raise CacheError(f"{path}: the cache cannot be used ({error}); delete this file, or give --no-cache") from error
    return Cache(path, rows, recipe.dimension)
