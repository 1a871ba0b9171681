"""When a site pauses by itself, and from where its guard counts on when it was resumed."""

from __future__ import annotations

from collections.abc import Sequence

from overt.messages import GuardState, SiteGuard
from overt.statistics.guard import Bound, Minute, Weighed, weigh

GUARD = "guard"
"""Who pauses, in the audit."""
_BEFORE_ALL = -(2**62)


def watch(
    deployment_id: str, site_id: str, bound: Bound, last: SiteGuard | None, minutes: Sequence[Minute], now_us: int
) -> tuple[Weighed | None, SiteGuard | None]:
    """What the test says of what came since the site was last resumed, and the pause that follows from it.

    last: what was last said of the site; None: nothing. A site that is paused stays so, whatever comes, until a person
    resumes it. Meanwhile nothing is weighed.
    """
    if last is not None and last.state is GuardState.PAUSED:
        return None, None
    weighed = weigh(bound, minutes, _BEFORE_ALL if last is None else last.weighed_until_us)
    if not weighed.left_bound:
        return weighed, None
    reason = (
        f"{weighed.false_alerts} false alerts among {weighed.passes} passes that were weighed;"
        f" {1 / bound.ceiling:g} passes should give one at most"
    )
    return weighed, SiteGuard(
        deployment_id=deployment_id,
        site_id=site_id,
        state=GuardState.PAUSED,
        at_us=now_us,
        actor=GUARD,
        reason=reason,
        weighed_until_us=weighed.until_us,
        passes=weighed.passes,
        false_alerts=weighed.false_alerts,
    )


def resumed(paused: SiteGuard, actor: str, reason: str, now_us: int) -> SiteGuard:
    """The site may capture again; what brought the pause about is not weighed again."""
    return SiteGuard(
        deployment_id=paused.deployment_id,
        site_id=paused.site_id,
        state=GuardState.OPEN,
        at_us=now_us,
        actor=actor,
        reason=reason,
        weighed_until_us=paused.weighed_until_us,
        passes=0,
        false_alerts=0,
    )
