"""Whether a deployment is certified: the certificate that it names, compared with what is about to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overt import __version__
from overt.evaluation.canonical import sha256_of
from overt.evaluation.certificate import Certificate, CertificateError, Model, Rule, Signed, read_certificate
from overt.evaluation.fit import Bound, CertificateRequired, Misfit, misfits, remarks, rule_in_words
from overt.evaluation.odds import odds
from overt.evaluation.signing import KeyFileError, expected_signer
from overt.evaluation.spelling import percent
from overt.governance.deployment import Deployment
from overt.governance.listing import WatchlistError
from overt.runtime.loaded import LoadedModels
from overt.runtime.quality_policy import quality_policy
from overt.watchlist.sources import listing_of


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate that fits, or why none does."""

    certificate: Certificate | None
    misfits: tuple[Misfit, ...]
    """None where there is a certificate."""
    remarks: tuple[str, ...] = ()
    """What whoever relies on the certificate must know."""

    def in_words(self) -> str:
        """All reasons in one line."""
        return "; ".join(map(str, self.misfits))

    def in_report(self) -> tuple[str, ...]:
        """Sentences for whoever reads a run's report."""
        if self.certificate is None:
            return (f"No certificate fits, so the error rates of this run are not known: {self.in_words()}.",)
        stated = "; ".join(
            f"at {rule_in_words(each.rule)}, TPIR {percent(each.tpir.value)} and FPIR {percent(each.fpir.value)}"
            f" by {self.certificate.unit}"
            for each in self.certificate.operating
        )
        return (f"Certified on {self.certificate.data.description}: {stated}.", *self.remarks)

    def rarity(self, subjects: int) -> Callable[[float], str | None]:
        """How rare a similarity is among strangers, in words, as far as the certificate tells."""

        def said(similarity: float) -> str | None:
            found = None if self.certificate is None else odds(self.certificate, similarity, subjects)
            return None if found is None else str(found)

        return said


UNCERTIFIED = Certified(None, ())
"""Where nobody asked for a certificate."""


def bound_to(deployment: Deployment, models: LoadedModels, subjects: int | None) -> Bound:
    """What a certificate is compared with. `subjects`: how many are on the list, None where that is not known.

    The hashes are those of the models' cards: no other file is ever opened.
    """
    policy = quality_policy(deployment.recognition, models.detector)
    return Bound(
        detector=Model(name=models.detector.name, sha256=models.detector.onnx.sha256),
        embedder=Model(name=models.embedder.name, sha256=models.embedder.onnx.sha256),
        space_id=models.embedder.space_id,
        quality_policy=policy,
        quality_policy_sha256=sha256_of(policy),
        rules={
            category.category_id: Rule(
                match=(thresholds := models.thresholds(category)).match,
                strong=thresholds.strong,
                confirmations=category.confirmations,
                within_s=category.within_s,
            )
            for category in deployment.watchlist.categories
        },
        subjects=subjects,
        overt=__version__,
    )


def certified(deployment: Deployment, models: LoadedModels, subjects: int | None) -> Certified:
    """Compares. Whatever is wrong with the files is a misfit too. Raises overt.models.errors.ModelError where a
    category has no threshold."""
    if deployment.certificate is None:
        return Certified(None, (Misfit("certificate", "the deployment names none"),))
    try:
        signed = read_certificate(Path(deployment.certificate))
    except CertificateError as error:
        return Certified(None, (Misfit("certificate", str(error)),))
    try:
        signer = None if deployment.certificate_key is None else expected_signer(deployment.certificate_key)
    except KeyFileError as error:
        return Certified(None, (Misfit("certificate_key", str(error)),))
    return compared(signed, bound_to(deployment, models, subjects), signer)


def subjects_listed(deployment: Deployment) -> int | None:
    """How many subjects the watchlist's source lists; None where it is not on this machine or cannot be read. Some of
    them may turn out not to be enrolled."""
    try:
        with listing_of(deployment.watchlist) as listing:
            return len({image.subject_id for image in listing.images}) or None
    except WatchlistError:
        return None


def compared(signed: Signed, bound: Bound, signer: str | None) -> Certified:
    """One certificate with what runs."""
    wrong = misfits(signed, bound, signer)
    return Certified(None, wrong) if wrong else Certified(signed.body, (), remarks(signed, bound, signer))


def demand_certificate(
    deployment: Deployment, models: LoadedModels, subjects: int | None, warn: Callable[[str], None]
) -> Certified:
    """`certified`, with a warning where no certificate fits. Raises CertificateRequired where the deployment demands
    one."""
    found = certified(deployment, models, subjects)
    if found.certificate is None:
        if deployment.require_certificate:
            raise CertificateRequired(
                f"{deployment.deployment_id}: field certificate: none fits, and require_certificate is true, so nothing"
                f" was started: {found.in_words()}"
            )
        warn(
            f"{deployment.deployment_id} has no certificate that fits, so its error rates are not known:"
            f" {found.in_words()}"
        )
    for remark in found.remarks:
        warn(f"certificate: {remark}")
    return found
