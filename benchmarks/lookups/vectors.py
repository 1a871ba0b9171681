"""Lists of any length: random unit vectors, or real templates padded with impostors made after them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.evaluation.cache import open_cache
from overt.evaluation.datasets import read_dataset
from overt.evaluation.recipe import Choice, choose, open_extractor
from overt.evaluation.templates import Maker, templates
from overt.runtime.settings import load_settings

Vectors = NDArray[np.float32]

_OWN = 0.8
"""Share of a synthetic impostor's deviation (in amplitude) that is drawn from the covariance of all; the rest is that
of one real person. Drawn wholly from the covariance, too few pairs are alike; with more of one person, too many."""
_AT_ONCE = 4096
_QUANTILES = (0.5, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True)
class Real:
    """Templates of real people: one enrolled for each, and further ones of the same people as probes."""

    enrolled: Vectors
    probes: Vectors
    mates: NDArray[np.intp]
    """The row of `enrolled` whose person a probe shows."""


def read(path: Path) -> Real:
    """From an .npz with `vectors` [n, D] and `people` [n]; or an .npy of one vector a person. Raises ValueError."""
    loaded = np.load(path, allow_pickle=False)
    vectors = np.asarray(loaded if path.suffix == ".npy" else loaded["vectors"], np.float32)
    if vectors.ndim != 2 or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise ValueError(f"{path}: unit vectors [n, D] are wanted")
    people = np.arange(len(vectors)) if path.suffix == ".npy" else loaded["people"]
    return _split(vectors, people)


def _split(vectors: Vectors, people: NDArray[np.generic]) -> Real:
    """The first template of each person is enrolled; the others are probes."""
    _, first, person = np.unique(people, return_index=True, return_inverse=True)
    rest = np.setdiff1d(np.arange(len(vectors)), first)
    return Real(vectors[first], vectors[rest], person[rest].astype(np.intp))


def from_images(folder: Path, detector: str | None, embedder: str | None) -> Real:
    """Templates of labelled images, made as `overt evaluate` makes them and kept in its cache. Raises DatasetError,
    ModelError, CacheError; ValueError where nobody has a usable image."""
    settings = load_settings()
    models = choose(settings, Choice(detector, embedder))
    samples = read_dataset(folder).samples
    maker = Maker(functools.cache(lambda: open_extractor(settings, models)), "central", models.recipe.min_face_px)
    with open_cache(settings.cache / "evaluation", models.recipe) as cache:
        made = templates(samples, maker, cache, _told)
    kept = [(t.vector, sample.person) for t, sample in zip(made, samples, strict=True) if t.vector is not None]
    if not kept:
        raise ValueError(f"{folder}: no image gives a template")
    return _split(np.stack([vector for vector, _ in kept]), np.array([person for _, person in kept]))


def _told(done: int, total: int) -> None:
    if done % 500 == 0:
        print(f"templates: {done} of {total}", file=sys.stderr, flush=True)


def random_batches(entries: int, dimension: int, seed: int = 1) -> Iterator[Vectors]:
    """Unit vectors in all directions alike."""
    random = np.random.default_rng(seed)
    for start in range(0, entries, _AT_ONCE):
        yield unit(random.standard_normal((min(_AT_ONCE, entries - start), dimension), np.float32))


def padded_batches(real: Real, entries: int, seed: int = 1) -> Iterator[Vectors]:
    """The real ones first, then synthetic impostors: a smoothed bootstrap (Silverman, 1986, 6.4) of the real people."""
    yield real.enrolled[:entries]
    random = np.random.default_rng(seed)
    for start in range(len(real.enrolled), entries, _AT_ONCE):
        yield impostors(real.enrolled, min(_AT_ONCE, entries - start), random)


def impostors(people: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """float32 [count, D]: mean, plus a real person's deviation from it, plus a Gaussian one of the same covariance."""
    mean = people.mean(axis=0)
    away = people - mean
    chosen = away[random.integers(0, len(away), count)]
    weights = random.standard_normal((count, len(away)), np.float32) / np.float32(np.sqrt(len(away)))
    return unit(mean + np.float32(np.sqrt(1 - _OWN**2)) * chosen + np.float32(_OWN) * (weights @ away))


def agreement(real: Real) -> list[tuple[float, float, float]]:
    """(quantile, cosine of pairs of real people, cosine of pairs of synthetic ones)."""
    made = impostors(real.enrolled, len(real.enrolled), np.random.default_rng(7))
    upper = np.triu_indices(len(made), 1)
    cosines = [np.quantile((v @ v.T)[upper], _QUANTILES) for v in (real.enrolled, made)]
    return [(q, float(a), float(b)) for q, a, b in zip(_QUANTILES, *cosines, strict=True)]


def unit(vectors: Vectors) -> Vectors:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32)
