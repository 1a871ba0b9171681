"""Which faces of a track are sent on for an embedding: the first at once, then better ones, within a budget.

No crop can be taken back and none kept for later (the state holds no pixels), so each decision is made on the spot.
Three kinds of crops share a walk-past's budget: the *first* as soon as it passes the gate (latency), *further* ones
that are better or come a while later (an alert may need several distinct faces), and one *reserve* for the best: much
better than all before, or as good when the face is about to leave, which for an approaching passer-by is its nearest.

Who stays on is compared again, or somebody who stands would never be after the first seconds: near a quality of 1 small
rises soon spend a budget. Then time alone decides, for it is what makes a face news: in a recorded shot of one face,
similarities 0.2 s apart are alike (correlation 0.5 and 0.4 with two embedders), 0.6 s apart hardly (0.2 and 0), while
quality tells little of them (0.1 and 0.3). The crops come by pairs, since by default two matches within 5 s confirm,
after pauses that double: eight in the first minute and four for each later one, not more, since each may be a false
alert.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from overt.detector.state import Shots


@dataclass(frozen=True, slots=True)
class ShotPolicy:
    """The limits. Times are capture time; qualities 0 to 1."""

    budget: int = 4
    """Most crops of one walk-past. With 3 or more the last is the reserve. 0: none at all."""
    spacing_us: int = 200_000
    """Least time between looks and so between crops: neighbouring frames show the same."""
    again_us: int = 600_000
    """After it a further crop need not be better, only not much worse; it doubles with each crop."""
    closer: float = 0.3
    """A better crop closes at least so much of the distance to a quality of 1, the reserve more."""
    reserve_closer: float = 0.6
    reserve_us: int = 4_800_000
    """So long after the crop before it the reserve is kept for something much better."""
    not_worse: float = 0.6
    """A further crop has at least so much of the best one's quality."""
    patience_us: int = 3_200_000
    """Longest wait between looks that give nothing: the wait doubles from `spacing_us` with each."""
    stay_us: int = 2_000_000
    """Who is still there so long after the budget's last crop stays."""
    returns: int = 2
    """Crops of one who stays that come `again_us` apart; before the next ones the pause doubles from `stay_us`."""
    longest_us: int = 30_000_000
    """Up to this pause."""


def worth_a_look(shots: Shots, promise: float, *, clock_us: int, leaving: bool, policy: ShotPolicy) -> bool:
    """Whether to look a second time at a face, which costs a pass of the network on a small image."""
    if not shots.crops and not shots.looks:
        return policy.budget > 0
    waited = clock_us - shots.look_at_us
    if waited < policy.spacing_us:
        return False
    spent = shots.crops >= policy.budget
    if spent and clock_us - shots.crop_at_us < _pause_us(shots, policy):
        return False
    if waited >= min(policy.spacing_us << min(shots.looks, 16), policy.patience_us):
        return True
    return not spent and (leaving or promise >= _closer(shots.promise, policy.closer))


def send(shots: Shots, quality: float, *, clock_us: int, leaving: bool, policy: ShotPolicy) -> bool:
    """Whether to send a face that passes the gate."""
    if not shots.crops:
        return policy.budget > 0
    if shots.crops < policy.budget:
        reserve = _is_reserve(shots, policy)
        if quality >= _closer(shots.best, policy.reserve_closer if reserve else policy.closer):
            return True
        if reserve and leaving and quality >= shots.best:
            return True
    return clock_us - shots.crop_at_us >= _pause_us(shots, policy) and quality >= policy.not_worse * shots.best


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


def _is_reserve(shots: Shots, policy: ShotPolicy) -> bool:
    return shots.crops == policy.budget - 1 and policy.budget >= 3


def _pause_us(shots: Shots, policy: ShotPolicy) -> int:
    """How long after the last crop the next need not be better."""
    if _is_reserve(shots, policy):
        return policy.reserve_us
    if shots.crops < policy.budget:
        return policy.again_us << min(shots.crops - 1, 16)
    times, of_them = divmod(shots.crops - policy.budget, min(policy.returns, policy.budget))
    return policy.again_us if of_them else min(policy.stay_us << min(times, 16), policy.longest_us)


def _closer(from_quality: float, share: float) -> float:
    return from_quality + share * (1 - from_quality)
