"""Whether a certificate applies to a deployment, and if not, every reason by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from overt.evaluation.certificate import Certificate, Model, Rule, Signed

SIZE_CLASSES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Subjects on a list. FPIR grows with the list, at most as fast, so that a class spans a factor of ten."""


class CertificateRequired(Exception):
    """The deployment demands a certificate that fits, and there is none. The text names the field and each reason."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a certificate is compared with: all of a deployment that decides on its error rates."""

    detector: Model
    embedder: Model
    space_id: str
    quality_policy: Mapping[str, Any]
    """In canonical form: see `overt.evaluation.canonical.plain`."""
    quality_policy_sha256: str
    rules: Mapping[str, Rule]
    """By category."""
    subjects: int | None
    """On the list; None where it is not known."""
    overt: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A reason why a certificate does not apply. `name` is one of signer, detector, embedder, space, quality_policy,
    list_size, threshold, software."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def size_class(subjects: int) -> int:
    """The smallest class that holds so many. Raises ValueError beyond the last."""
    for limit in SIZE_CLASSES:
        if subjects <= limit:
            return limit
    raise ValueError(f"a list of {subjects:,} subjects is larger than any class ({SIZE_CLASSES[-1]:,})")


def misfits(signed: Signed, bound: Bound, signer: str | None) -> tuple[Misfit, ...]:
    """Every reason why the certificate does not apply; none where it does. `signer`: the key's fingerprint that is
    trusted, None where any is."""
    body = signed.body
    found = [
        *_signer(signed.key, signer),
        *_model("detector", body.detector, bound.detector),
        *_model("embedder", body.embedder, bound.embedder),
    ]
    if body.space_id != bound.space_id:
        found.append(Misfit("space", f"it is of vectors of {body.space_id}, the deployment's are of {bound.space_id}"))
    return (
        *found,
        *_policy(body, bound),
        *_list_size(body, bound.subjects),
        *_thresholds(body, bound),
        *_software(body.overt, bound.overt),
    )


def remarks(signed: Signed, bound: Bound, signer: str | None) -> tuple[str, ...]:
    """What whoever relies on a certificate that applies must know."""
    said = list(signed.body.limits)
    if signer is None:
        said.append(
            f"The deployment names no certificate_key, so anybody may have signed the certificate; {signed.key} did."
        )
    if signed.body.overt != bound.overt:
        said.append(f"It was measured with version {signed.body.overt} of Overt, this is {bound.overt}.")
    if bound.subjects is None:
        said.append("How many subjects are on the list is not known here, so the list-size class was not compared.")
    return tuple(said)


def _signer(key: str, signer: str | None) -> Iterator[Misfit]:
    if signer is not None and key != signer:
        yield Misfit("signer", f"{key} signed it, the deployment's certificate_key is {signer}")


def _model(role: str, certified: Model, running: Model) -> Iterator[Misfit]:
    if certified.sha256 != running.sha256:
        yield Misfit(
            role,
            f"it is of {certified.name} with sha256 {certified.sha256[:12]}..., the deployment runs {running.name}"
            f" with {running.sha256[:12]}...",
        )


def _policy(body: Certificate, bound: Bound) -> Iterator[Misfit]:
    if body.quality_policy_sha256 != bound.quality_policy_sha256:
        changes = "; ".join(_changes(body.quality_policy, bound.quality_policy, "")) or "the hash alone"
        yield Misfit("quality_policy", f"which crops are compared has changed: {changes}")


def _changes(certified: Any, running: Any, at: str) -> Iterator[str]:
    """Each difference as `gate.min_quality 0.2 there, 0.1 here`."""
    if isinstance(certified, Mapping) and isinstance(running, Mapping):
        for key in sorted({*certified, *running}):
            yield from _changes(certified.get(key), running.get(key), f"{at}.{key}" if at else key)
    elif certified != running:
        yield f"{at} {certified} there, {running} here"


def _list_size(body: Certificate, subjects: int | None) -> Iterator[Misfit]:
    limit = body.list_size.up_to
    if subjects is None:
        return
    if subjects > SIZE_CLASSES[-1] or size_class(subjects) != limit:
        yield Misfit("list_size", f"it is of lists of up to {limit:,} subjects, the deployment's has {subjects:,}")


def _thresholds(body: Certificate, bound: Bound) -> Iterator[Misfit]:
    certified = [operating.rule for operating in body.operating]
    for category, rule in bound.rules.items():
        if rule not in certified:
            known = ", or at ".join(rule_in_words(other) for other in certified)
            yield Misfit(
                "threshold", f"category {category} alerts at {rule_in_words(rule)}; it was measured at {known}"
            )


def _software(measured: str, running: str) -> Iterator[Misfit]:
    """What a stage does beyond its settings may change with a minor version, and not with a patch."""
    if measured.split(".")[:2] != running.split(".")[:2]:
        yield Misfit("software", f"it was measured with version {measured} of Overt, this is {running}")


def rule_in_words(rule: Rule) -> str:
    """`0.45 (2 matches within 5 s, or one from 0.53)`."""
    if rule.confirmations == 1:
        return f"{rule.match:g}"
    return f"{rule.match:g} ({rule.confirmations} matches within {rule.within_s:g} s, or one from {rule.strong:g})"
