"""`overt evaluate certificate`: what was measured, signed, and whether it applies to a deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import say
from overt.evaluation.certificate import Certificate, CertificateError, Measured, Signed, read_certificate, sign
from overt.evaluation.fit import Misfit, misfits, remarks, rule_in_words
from overt.evaluation.issue import groups_of, issued
from overt.evaluation.results import write_text
from overt.evaluation.said import read_result
from overt.evaluation.signing import KeyFileError, create_key, expected_signer, fingerprint, load_key, load_public_key
from overt.evaluation.spelling import percent
from overt.governance.deployment import Deployment
from overt.runtime.certified import bound_to, subjects_listed
from overt.runtime.loaded import LoadedModels
from overt.runtime.metrics import Metrics
from overt.runtime.settings import load_settings

_DOES_NOT_APPLY = 7


@click.group()
def certificate() -> None:
    """What was measured, signed: for which models, quality policy, list size and thresholds it is true.

    A deployment names its certificate (certificate, certificate_key); `overt run` and `overt serve` warn where none
    fits, and refuse where require_certificate is set.

    \b
    Examples:
      overt evaluate certificate key signing-key
      overt evaluate certificate create out/video/result.json -d deployment.yaml --key signing-key
      overt evaluate certificate verify certificate.json -d deployment.yaml
    """


@certificate.command(short_help="Make a key that signs certificates.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Write a new Ed25519 key to FILE, readable by its owner only, and its public half to FILE.pub.

    Neither is ever overwritten. Whoever holds FILE can certify: keep it where models are evaluated, and not where they
    run. A deployment names FILE.pub, or the fingerprint that is printed.

    \b
    Examples:
      overt evaluate certificate key signing-key
    """
    try:
        public = create_key(file)
        click.echo(f"{file}: a new key; public half: {public}; fingerprint:")
        click.echo(fingerprint(load_public_key(public)))
    except KeyFileError as error:
        raise UserError(str(error)) from error


@certificate.command(short_help="Certify a result for a deployment.")
@click.argument("result", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@deployment_option
@click.option("--key", "key_file", type=click.Path(path_type=Path), required=True, help="Private key that signs.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("certificate.json"),
              show_default=True, help="The certificate.")  # fmt: skip
@click.option("--groups", "groups_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="result.json of `overt evaluate groups`, whose errors by group are stated too.")  # fmt: skip
@click.option("--description", default="", help="The data in words: who, where, how taken.")
def create(
    result: Path, deployment: Deployment, key_file: Path, out: Path, groups_file: Path | None, description: str
) -> None:
    """Certify what RESULT, the result.json of an evaluation, measured at the deployment's thresholds.

    Evaluate with --deployment, so that models, quality policy and thresholds are the deployment's. What the result does
    not carry is not certified: each reason is named, and nothing is written.

    \b
    Examples:
      overt evaluate video people/ -d deployment.yaml --out out/video
      overt evaluate certificate create out/video/result.json -d deployment.yaml --key signing-key
    """
    models = LoadedModels(deployment, load_settings(), Metrics())
    try:
        private = load_key(key_file)
        bound = bound_to(deployment, models, subjects_listed(deployment))
        said = read_result(result)
        groups = groups_of(groups_file, said, bound.rules) if groups_file else ()
        body = issued(said, bound, groups, description, datetime.now(UTC))
        wrong = misfits(Signed(body=body, key=fingerprint(private.public_key())), bound, None)
        if wrong:
            raise UserError(f"{result} does not apply to {deployment.deployment_id}:\n{_lines(wrong)}", _DOES_NOT_APPLY)
        write_text(out, sign(body, private))
    except (CertificateError, KeyFileError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}", 8) from error
    for line in in_words(body):
        click.echo(line)
    say(f"certificate: {out}; name it in the deployment file (certificate) with its key (certificate_key):")
    say(f"  {fingerprint(private.public_key())}")


@certificate.command(short_help="Show a certificate, and whether it applies to a deployment.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@deployment_option
@click.option("--key", "public_key", help="Who must have signed it: a public key's file or fingerprint; else the"
              " deployment's certificate_key.")  # fmt: skip
def verify(file: Path, deployment: Deployment, public_key: str | None) -> None:
    """Show a certificate and verify its signature; say whether it applies to the deployment, and if not, why not.

    The models' files are hashed anew. Exit code 7 where it does not apply, 2 where it is no valid certificate.

    \b
    Examples:
      overt evaluate certificate verify certificate.json -d deployment.yaml
      overt evaluate certificate verify certificate.json -d deployment.yaml --key signing-key.pub
    """
    models = LoadedModels(deployment, load_settings(), Metrics())
    wanted = public_key or deployment.certificate_key
    try:
        signed = read_certificate(file)
        signer = expected_signer(wanted) if wanted else None
    except (CertificateError, KeyFileError) as error:
        raise UserError(str(error)) from error
    for line in in_words(signed.body):
        click.echo(line)
    click.echo(f"signed by {signed.key}")
    bound = bound_to(deployment, models, subjects_listed(deployment))
    wrong = [*misfits(signed, bound, signer), *_files(models)]
    if wrong:
        raise UserError(f"it does not apply to {deployment.deployment_id}:\n{_lines(wrong)}", _DOES_NOT_APPLY)
    for remark in remarks(signed, bound, signer):
        click.echo(f"remark: {remark}")
    click.echo(f"it applies to {deployment.deployment_id}")


def in_words(body: Certificate) -> list[str]:
    """A certificate for people, most important first."""
    each = "pass" if body.unit == "pass" else "image"
    lines = [
        f"{body.detector.name} (sha256 {body.detector.sha256[:12]}...) and {body.embedder.name}"
        f" (sha256 {body.embedder.sha256[:12]}..., vectors {body.space_id})",
        f"lists of up to {body.list_size.up_to:,} subjects, measured with {body.list_size.measured_with:,}",
        f"measured {body.measured_at} on {body.data.description}, certified {body.made_at}",
    ]
    for operating in body.operating:
        lines += [
            f"alerting at {rule_in_words(operating.rule)}, by {each}:",
            f"  TPIR {_measured(operating.tpir)}",
            f"  FPIR {_measured(operating.fpir)}; with {body.list_size.up_to:,} subjects at most"
            f" {percent(operating.fpir_in_class)}",
        ]
    if body.fta is not None:
        lines.append(f"failures to acquire {_measured(body.fta)}")
    for group in body.groups:
        said = f"not measurable here: {group.not_measurable}" if group.measured is None else _measured(group.measured)
        lines.append(f"{group.label}, {group.group}: {group.error.upper()} {said}")
    return lines


def _measured(measured: Measured) -> str:
    low, high = percent(measured.low).removesuffix(" %"), percent(measured.high)
    people = f", {measured.people:,} people" if measured.people else ""
    return f"{percent(measured.value)} ({low} to {high}), {measured.count:,} of {measured.trials:,}{people}"


def _files(models: LoadedModels) -> list[Misfit]:
    """Models whose file is not the one that the card names, by role."""
    states = [(card.role, models.registry.verify(card.name)) for card in (models.detector, models.embedder)]
    return [Misfit(role, state.problem) for role, state in states if state.state != "ready"]


def _lines(wrong: list[Misfit] | tuple[Misfit, ...]) -> str:
    return "\n".join(f"  {misfit}" for misfit in wrong)
