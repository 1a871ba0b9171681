"""Again and again until an alert is taken, refused or given up: the stage of the webhook, and its waiting.

An alert is attempted once in each call. One that was not taken is put back on the bus (`Unavailable`), and everything
behind it waits: alerts leave in the order in which they came. While the next attempt is not due, `ready` says no, and
the loop asks the bus for nothing.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from overt.messages import Alert
from overt.ports import Clock, Reason, Reject, Unavailable
from overt.runtime.elapsed import Elapsed, elapsed_s
from overt.runtime.metrics import Metrics
from overt.runtime.webhook.answers import Answer, Outcome

_REMEMBERED = 10_000
_ASK_AGAIN_S = 60.0
"""The bus takes a member that asks for nothing for five minutes for dead."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one tries, in seconds."""

    give_up_s: float = 3600.0
    """An alert so old, that was tried for `least_s`, becomes a dead letter."""
    least_s: float = 60.0
    first_s: float = 1.0
    """Before the second attempt; it doubles each time."""
    longest_s: float = 60.0


@dataclass(slots=True)
class _Attempt:
    """The alert at hand, which was not taken yet."""

    alert_id: str
    since_s: float
    ends_s: float
    """From then on it is given up, both by the process's own clock."""
    due_s: float
    tries: int = 0


class Delivery:
    """A stage (`overt.ports.Stage`) that gives out nothing but rejects, and the worker's companion.

    An alert that this process has settled is not posted again, however often it comes. Alerts of other deployments on
    the same topic are passed over. `spread` gives numbers from 0 to 1, so that several bridges do not come at once.
    """

    def __init__(
        self,
        post: Callable[[Alert], Answer],
        patience: Patience,
        *,
        deployment_id: str,
        metrics: Metrics,
        clock: Clock,
        elapsed: Elapsed = elapsed_s,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._post = post
        self._patience = patience
        self._deployment_id = deployment_id
        self._metrics = metrics
        self._clock = clock
        self._elapsed = elapsed
        self._spread = spread
        self._at_hand: _Attempt | None = None
        self._asked_s = float("-inf")
        self._settled: OrderedDict[str, Reason | None] = OrderedDict()

    def __call__(self, batch: Sequence[Alert], /) -> Iterable[Reject]:
        """Raises Unavailable when an alert was not taken; those before it are settled and stay so."""
        rejects: list[Reject] = []
        for index, alert in enumerate(batch):
            reason = self._settle(alert) if alert.deployment_id == self._deployment_id else None
            if reason is not None:
                rejects.append(Reject(index, reason))
        return rejects

    # What the worker asks of a companion

    def follow(self) -> None:
        """There is nothing to take in."""

    def ready(self) -> bool:
        """Whether the bus should be asked: nothing waits, or what waits is due."""
        waits = self._at_hand
        return waits is None or self._elapsed() >= min(waits.due_s, self._asked_s + _ASK_AGAIN_S)

    def close(self) -> None:
        """Nothing is held."""

    def flows(self) -> bool:
        """Whether the last attempt was settled: the endpoint is there, as far as anybody knows."""
        return self._at_hand is None

    def tell(self) -> None:
        """Brings the gauge of waiting up to date; a chore. An alert that never came again is another member's now."""
        waits = self._at_hand
        if waits is not None and self._elapsed() - max(waits.due_s, self._asked_s) > 2 * _ASK_AGAIN_S:
            self._at_hand = waits = None
        self._metrics.webhook_waiting_seconds.set(0.0 if waits is None else self._elapsed() - waits.since_s)

    # Attempts

    def _settle(self, alert: Alert) -> Reason | None:
        """None: it was taken. Raises Unavailable when it is to come again."""
        if alert.alert_id in self._settled:
            return self._settled[alert.alert_id]
        attempt, now_s = self._attempt_of(alert), self._elapsed()
        self._asked_s = now_s
        if now_s < attempt.due_s:
            raise Unavailable("the webhook's next attempt is not due")
        answer = self._post(alert)
        self._metrics.webhook_attempts.labels(answer.outcome.value).inc()
        if answer.outcome is Outcome.TAKEN:
            self._metrics.alert_to_webhook_seconds.observe(max(0.0, (self._clock() - alert.alerted_at_us) / 1e6))
            return self._settled_as(alert, None)
        if answer.outcome is Outcome.REFUSED:
            return self._settled_as(alert, Reason.REFUSED)
        now_s = self._elapsed()
        if now_s >= attempt.ends_s:
            return self._settled_as(alert, Reason.UNDELIVERED)
        attempt.tries += 1
        attempt.due_s = min(now_s + self._pause_s(attempt.tries, answer), attempt.ends_s)
        self._at_hand = attempt
        raise Unavailable(f"{answer.said}; attempt {attempt.tries + 1} follows in {attempt.due_s - now_s:.0f} s")

    def _attempt_of(self, alert: Alert) -> _Attempt:
        if self._at_hand is not None and self._at_hand.alert_id == alert.alert_id:
            return self._at_hand
        now_s, patience = self._elapsed(), self._patience
        age_s = (self._clock() - alert.alerted_at_us) / 1e6
        return _Attempt(alert.alert_id, now_s, now_s + max(patience.least_s, patience.give_up_s - age_s), now_s)

    def _pause_s(self, tries: int, answer: Answer) -> float:
        """Doubles, half of it by chance; not less than the endpoint asks for."""
        longest_s = min(self._patience.first_s * 2.0 ** min(tries - 1, 30), self._patience.longest_s)
        return max(longest_s * (0.5 + 0.5 * self._spread()), answer.retry_after_s or 0.0)

    def _settled_as(self, alert: Alert, reason: Reason | None) -> Reason | None:
        self._at_hand = None
        self._settled[alert.alert_id] = reason
        if len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        return reason
