"""Counting in windows of capture time. The counts are a function of the set of facts, whatever their order and however
often each was told: a fact that comes late corrects its windows, one that comes again changes nothing.

A judgement counts in the windows of the alert that it is about, and of several judgements the last made counts. Where
it comes before its alert it waits for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from overt.messages import CategoryCounts, Fact, FactKind, Kind, SiteStats, StatsWindow, Verdict
from overt.statistics.facts import Scope
from overt.statistics.guard import Minute

MINUTE_US = 60_000_000
_LENGTH_US = {StatsWindow.MINUTE: MINUTE_US, StatsWindow.QUARTER_HOUR: 15 * MINUTE_US}

_Key = tuple[str | None, StatsWindow, int]
"""Camera (None: the site), window, start in microseconds."""
_Cell = tuple[str, str | None, Kind | None]
"""What is counted, and of which category."""

_PASSES: _Cell = ("passes", None, None)
_FAILURES: _Cell = ("failures_to_acquire", None, None)
_JUDGED = {Verdict.TRUE: "judged_true", Verdict.FALSE: "judged_false", Verdict.UNSURE: "judged_unsure"}
_BY_CATEGORY = ("matches", "alerts", *_JUDGED.values())


class Tally:
    """The counts of one deployment, changed in place by `add`. Facts of other deployments are passed over.

    Memory: about 150 bytes a fact, for its identity; 1 kB a window in which anything was counted.
    """

    def __init__(self, scope: Scope, site_id: str) -> None:
        self._scope = scope
        self._site_id = site_id
        self._known: set[str] = set()
        self._alerts: dict[str, Fact] = {}
        self._judgements: dict[str, Fact] = {}
        """By alert, the last made."""
        self._counts: defaultdict[_Key, Counter[_Cell]] = defaultdict(Counter)
        self._touched: set[_Key] = set()

    def add(self, fact: Fact) -> bool:
        """Counts a fact; False for one that is known or of another deployment. The windows of a known one are told
        again (`take_touched`): whoever told them last may not have told them to the end."""
        if fact.deployment_id != self._scope.deployment_id:
            return False
        new = fact.fact_id not in self._known
        self._known.add(fact.fact_id)
        match fact.fact:
            case FactKind.PASS:
                self._count(fact, [_PASSES, *([_FAILURES] if fact.failure is not None else [])], new)
            case FactKind.MATCH:
                self._count(fact, [("matches", fact.category, fact.kind)], new)
            case FactKind.ALERT:
                self._alert(fact, new)
            case FactKind.ADJUDICATION:
                self._judgement(fact, new)
        return new

    def knows(self, fact_id: str) -> bool:
        """Whether this fact was counted."""
        return fact_id in self._known

    def take_touched(self, revision: int) -> list[SiteStats]:
        """The windows in which a fact was counted or told again since the last call, in a fixed order."""
        touched, self._touched = self._touched, set()
        return [self._stats(key, revision) for key in sorted(touched, key=_order)]

    def windows(self, revision: int = 0) -> list[SiteStats]:
        """Every window in which anything was counted, in a fixed order."""
        return [self._stats(key, revision) for key in sorted(self._counts, key=_order)]

    def minutes(self) -> list[Minute]:
        """What the guard weighs: the site's minutes in which anything was counted, in capture time."""
        found = []
        for (camera, window, start_us), counts in self._counts.items():
            if camera is None and window is StatsWindow.MINUTE:
                total = _totals(counts)
                judged = sum(total[name] for name in _JUDGED.values())
                unjudged = total["alerts"] - judged
                found.append(Minute(start_us, total["passes"], total["judged_false"], unjudged))
        return sorted(found, key=lambda minute: minute.start_us)

    def unjudged(self) -> int:
        """Alerts that nobody has judged."""
        return sum(alert_id not in self._judgements for alert_id in self._alerts)

    def _alert(self, fact: Fact, new: bool) -> None:
        if fact.alert_id is None:
            return
        alert = self._alerts.setdefault(fact.alert_id, fact)
        self._count(alert, [("alerts", alert.category, alert.kind)], new)
        if new and (judgement := self._judgements.get(fact.alert_id)) is not None:
            self._count(alert, [_judged(alert, judgement)], new)

    def _judgement(self, fact: Fact, new: bool) -> None:
        if fact.alert_id is None:
            return
        before, alert = self._judgements.get(fact.alert_id), self._alerts.get(fact.alert_id)
        later = before is None or (before.at_us, before.fact_id) < (fact.at_us, fact.fact_id)
        if later:
            self._judgements[fact.alert_id] = fact
        if alert is None:
            return
        if later and before is not None:
            self._count(alert, [_judged(alert, before)], True, -1)
        self._count(alert, [_judged(alert, fact)], new and later)

    def _count(self, fact: Fact, cells: Iterable[_Cell], new: bool, by: int = 1) -> None:
        for key in self._keys(fact):
            self._touched.add(key)
            if new:
                self._counts[key].update(dict.fromkeys(cells, by))

    def _keys(self, fact: Fact) -> Sequence[_Key]:
        starts = [(window, fact.at_us // length * length) for window, length in _LENGTH_US.items()]
        starts.append((StatsWindow.DEPLOYMENT, self._scope.window_us[0]))
        return [(camera, window, start) for camera in (fact.camera_id, None) for window, start in starts]

    def _stats(self, key: _Key, revision: int) -> SiteStats:
        camera, window, start_us = key
        counts, total = self._counts[key], _totals(self._counts[key])
        end_us = self._scope.window_us[1] if window is StatsWindow.DEPLOYMENT else start_us + _LENGTH_US[window]
        where = "site" if camera is None else f"camera/{camera}"
        return SiteStats(
            window_id=f"{self._scope.deployment_id}/{where}/{window}/{start_us}",
            deployment_id=self._scope.deployment_id,
            site_id=self._site_id,
            camera_id=camera,
            window=window,
            start_us=start_us,
            end_us=end_us,
            passes=total["passes"],
            failures_to_acquire=total["failures_to_acquire"],
            **{name: total[name] for name in _BY_CATEGORY},
            categories=_categories(counts),
            revision=revision,
        )


def _judged(alert: Fact, judgement: Fact) -> _Cell:
    assert judgement.verdict is not None
    return (_JUDGED[judgement.verdict], alert.category, alert.kind)


def _totals(counts: Counter[_Cell]) -> Counter[str]:
    total: Counter[str] = Counter()
    for (name, _, _), count in counts.items():
        total[name] += count
    return total


def _categories(counts: Counter[_Cell]) -> tuple[CategoryCounts, ...]:
    named = {(category, kind) for (_, category, kind), n in counts.items() if n and category is not None}
    return tuple(
        CategoryCounts(category, kind, *(counts[name, category, kind] for name in _BY_CATEGORY))
        for category, kind in sorted(named, key=str)
        if kind is not None
    )


def _order(key: _Key) -> tuple[str, str, int]:
    camera, window, start_us = key
    return camera or "", str(window), start_us
