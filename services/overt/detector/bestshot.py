"""Which faces of a track are sent on for an embedding: the first at once, then better ones, within a budget.

No crop can be taken back and none kept for later (the state holds no pixels), so each decision is made on the spot.
Three kinds of crops share the budget: the *first* as soon as it passes the gate (latency), *further* ones that are
better or come a while later (an alert may need several distinct faces), and one *reserve* for the best: much better
than all before, or as good when the face is about to leave, which for an approaching passer-by is its nearest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from overt.detector.state import Shots


@dataclass(frozen=True, slots=True)
class ShotPolicy:
    """The limits. Times are capture time; qualities 0 to 1."""

    budget: int = 4
    """Most crops of one track. With 3 or more the last is the reserve."""
    spacing_us: int = 200_000
    """Least time between looks and so between crops: neighbouring frames show the same."""
    again_us: int = 600_000
    """After it a further crop need not be better, only not much worse; it doubles with each crop."""
    closer: float = 0.3
    """A better crop closes at least so much of the distance to a quality of 1, the reserve more."""
    reserve_closer: float = 0.6
    not_worse: float = 0.6
    """A further crop has at least so much of the best one's quality."""
    patience_us: int = 3_200_000
    """Longest wait between looks that give nothing: the wait doubles from `spacing_us` with each."""


def worth_a_look(shots: Shots, promise: float, *, clock_us: int, leaving: bool, policy: ShotPolicy) -> bool:
    """Whether to look a second time at a face, which costs a pass of the network on a small image."""
    if shots.crops >= policy.budget:
        return False
    if not shots.crops and not shots.looks:
        return True
    waited = clock_us - shots.look_at_us
    if waited < policy.spacing_us:
        return False
    if waited >= min(policy.spacing_us << min(shots.looks, 16), policy.patience_us):
        return True
    return leaving or promise >= _closer(shots.promise, policy.closer)


def send(shots: Shots, quality: float, *, clock_us: int, leaving: bool, policy: ShotPolicy) -> bool:
    """Whether to send a face that passes the gate."""
    if not shots.crops:
        return policy.budget > 0
    if shots.crops >= policy.budget:
        return False
    if shots.crops == policy.budget - 1 and policy.budget >= 3:
        return quality >= _closer(shots.best, policy.reserve_closer) or (leaving and quality >= shots.best)
    if quality >= _closer(shots.best, policy.closer):
        return True
    again_us = policy.again_us << min(shots.crops - 1, 16)
    return clock_us - shots.crop_at_us >= again_us and quality >= policy.not_worse * shots.best


def looked(shots: Shots, promise: float, *, clock_us: int) -> Shots:
    """After a look that gave no crop."""
    return replace(shots, looks=shots.looks + 1, look_at_us=clock_us, promise=max(shots.promise, promise))


def sent(shots: Shots, promise: float, quality: float, *, clock_us: int) -> Shots:
    """After a crop."""
    return Shots(
        crops=shots.crops + 1,
        best=max(shots.best, quality),
        crop_at_us=clock_us,
        looks=0,
        look_at_us=clock_us,
        promise=max(shots.promise, promise),
    )


def _closer(from_quality: float, share: float) -> float:
    return from_quality + share * (1 - from_quality)
