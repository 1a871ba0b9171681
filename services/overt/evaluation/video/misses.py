"""Why listed people's passes were missed: the plainest reason of each, so that one knows what to work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from overt.evaluation.video.records import PassRecord

NOT_ENROLLED = "no image of theirs could be enrolled"
NOTHING_USABLE = "no usable crop"
SOMEBODY_ELSE = "somebody else was more similar"
RULE = "one crop was similar enough, the rule was not met"
POOR = "not similar enough, and poor crops only"
DISSIMILAR = "not similar enough, though a crop was good"
REASONS = (NOT_ENROLLED, NOTHING_USABLE, SOMEBODY_ELSE, RULE, POOR, DISSIMILAR)
GOOD_QUALITY = 0.5


def misses(listed: Sequence[PassRecord], rule: str, threshold: float) -> dict[str, int]:
    """By reason, passes of listed people that `rule` misses at a threshold; in the order of `REASONS`."""
    found = Counter(why for each in listed if (why := _why(each, rule, threshold)) is not None)
    return {reason: found[reason] for reason in REASONS if found[reason]}


def _why(each: PassRecord, rule: str, threshold: float) -> str | None:
    scored = each.scores.get(rule)
    if not each.enrolled:
        return NOT_ENROLLED
    if scored is None or scored.mate is None:
        return NOTHING_USABLE
    if scored.mate >= threshold and scored.mate > scored.other:
        return None
    if scored.other >= max(threshold, scored.mate):
        return SOMEBODY_ELSE
    if any(crop.mate is not None and crop.mate >= threshold and crop.mate > crop.other for crop in each.crops):
        return RULE
    good = any(crop.quality >= GOOD_QUALITY for crop in each.crops)
    return DISSIMILAR if good else POOR
