"""`overt watchlist build | publish | add`: enrolling people, into a sealed file or onto the deployment's list."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import click

from overt.cli.embedded import enrol
from overt.cli.errors import UserError
from overt.cli.options import deployment_option
from overt.cli.progress import Bar, Pace, say
from overt.cli.watchlist_live import accountable, changing, report
from overt.cli.watchlist_pseudonyms import deployment_key, write_pseudonyms
from overt.governance.deployment import Deployment, WindowState, window_state
from overt.governance.listing import WatchlistError
from overt.messages import AuditAction
from overt.ports import KeyGone
from overt.runtime.cluster import cluster_world, open_replicas
from overt.runtime.keys.deployment_keyring import open_keyring
from overt.runtime.keys.keyring import Keyring
from overt.runtime.logs import configure_logging
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings, load_settings
from overt.runtime.watchlist.changes import By, WatchlistChanges
from overt.runtime.watchlist.enrolment import build as build_watchlist
from overt.runtime.watchlist.enrolment import enrol_folder
from overt.runtime.watchlist.file import WatchlistFile, WatchlistFileError
from overt.runtime.watchlist.journal import BuildJournal, JournalTaken
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world, now_us
from overt.watchlist.report import as_json, as_text
from overt.watchlist.results import Built
from overt.watchlist.sheet import render


@click.command(short_help="Enrol images into a sealed watchlist file, with a report.")
@click.argument("source", required=False, type=click.Path(exists=True, path_type=Path))
@deployment_option
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The sealed file to be written."
)
@click.option(
    "--report-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.txt, report.json and contact-sheet.html, which shows the people on the list.",
)
@click.option(
    "--pseudonyms",
    "pseudonyms_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also keep who is on it, by pseudonyms, for `overt watchlist was-listed`.",
)
def build(
    source: Path | None, deployment: Deployment, out: Path, report_dir: Path | None, pseudonyms_file: Path | None
) -> None:
    """Enrol the images of SOURCE with the deployment's models, each entry sealed under its own key, and report.

    SOURCE is a folder (one subfolder, or one file-name prefix, for each subject), a manifest (.csv or .json) beside its
    images, or a .zip of either; without it, watchlist.source. Columns of a manifest: subject_id, image,
    category, and what is known of basis, image_source, image_date, reviewer, valid_from, valid_until, under_18,
    decision_id, notes, box (x1,y1,x2,y2 of the face in an image of several).

    An image that cannot be enrolled is refused with the reason, the others are written, and the exit code is 6. What an
    interrupted build has done is taken up by the next one with the same --out within a day.

    \b
    Examples:
      overt watchlist build people/ --out list.watchlist -d deployment.yaml
      overt watchlist build people.csv --out list.watchlist -d deployment.yaml --report-dir review/
    """
    settings = load_settings()
    configure_logging("WARNING", settings.log_format)
    if source is not None:
        listed = deployment.watchlist.model_copy(update={"source": str(source.absolute())})
        deployment = deployment.model_copy(update={"watchlist": listed})
    if window_state(deployment, now_us()) is WindowState.AFTER:
        raise UserError(f"the window ended at {deployment.window.end.isoformat()}: nobody may be looked for any more")
    keyring = open_keyring(deployment, settings)
    try:
        built = _built(deployment, settings, out, keyring)
        _report(built, deployment, report_dir)
    except OSError as error:
        raise UserError(f"{error.filename or out}: cannot be written ({error.strerror})", 8) from error
    if not built.entries:
        raise UserError("nobody could be enrolled, and no file was written; the reasons stand above", 6)
    say(f"watchlist: {out}")
    if pseudonyms_file is not None:
        manifest = WatchlistFile(out, deployment.deployment_id, keyring, now_us).manifest()
        subjects = {entry.subject_id for entry in built.entries}
        key = deployment_key(settings)
        write_pseudonyms(pseudonyms_file, deployment, manifest.list_id, manifest.content_sha256, subjects, key)
    if built.refusals:
        raise UserError(f"{len(built.refusals)} refused, and not in {out}; the reasons stand above", 6)


def _built(deployment: Deployment, settings: Settings, out: Path, keyring: Keyring) -> Built:
    """Enrols, compares and writes; what was done stays for the next attempt until all is written."""
    wiring = Wiring(memory_world(deployment)[0], settings, Metrics(), realtime=False)
    try:
        with BuildJournal(out.with_name(f".{out.name}.unfinished"), keyring, now_us) as journal:
            if len(journal):
                say(f"{len(journal)} images are known from an interrupted build")
            built = build_watchlist(wiring, journal.remembering, Pace("enrolling, images"), Pace("comparing, images"))
            if built.entries:
                WatchlistFile(out, deployment.deployment_id, keyring, now_us).write(
                    built.entries,
                    space_id=built.space_id,
                    embedder=wiring.models.embedder.name,
                    expires_at_us=deployment.window.end_us,
                    progress=Pace("sealing, entries"),
                )
            journal.finished()
    except WatchlistError as error:
        raise UserError("\n  ".join(["the watchlist cannot be made:", *error.problems]), 6) from error
    except (WatchlistFileError, JournalTaken) as error:
        raise UserError(str(error), 6) from error
    except KeyGone as error:
        raise UserError(
            f"{error}\n  somebody on it was removed from this deployment's list; give their image another name", 6
        ) from error
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from here")
        raise
    return built


def _report(built: Built, deployment: Deployment, folder: Path | None) -> None:
    """Tells the account, and writes it where it was asked for, for the owner's eyes only. Raises OSError."""
    text = as_text(built)
    click.echo(text, nl=False)
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    contents = {"report.txt": text, "report.json": as_json(built)}
    contents["contact-sheet.html"] = render(built, deployment.window.end_us)
    for name, content in contents.items():
        unfinished = folder / f".{name}.unfinished"
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        unfinished.replace(folder / name)
    say(f"report: {folder / 'contact-sheet.html'} shows the people on the list: delete it once it is reviewed")


@click.command(short_help="Enrol the watchlist's folder and publish it, sealed.")
@deployment_option
def publish(deployment: Deployment) -> None:
    """Enrol the deployment's watchlist.source with its models and publish it, each entry sealed under its own key.

    Publishing again replaces entries. Images that cannot be enrolled are named with the reason.

    \b
    Examples:
      overt watchlist publish -d deployment.yaml
    """
    settings = load_settings()
    configure_logging("WARNING", settings.log_format)
    world = cluster_world(deployment, settings, realtime=True, client="watchlist")
    enrolment = enrol(Wiring(world, settings, Metrics(), realtime=True))
    changes = WatchlistChanges(
        world,
        open_keyring(deployment, settings),
        open_replicas(deployment, settings),
        now_us,
        By(getpass.getuser(), "published from the deployment's watchlist.source"),
    )
    try:
        changes.publish(enrolment.entries)
    finally:
        changes.close()
    click.echo(f"published {len(enrolment.entries)} entries of {enrolment.subjects} subjects")


@click.command(short_help="Add people to the list, while matchers run.")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@deployment_option
@accountable
def add(source: Path, deployment: Deployment, reason: str, by: str, wait_s: float, as_json: bool) -> None:
    """Enrol SOURCE and add its entries to the deployment's list on Kafka. Every running matcher applies them.

    SOURCE is a folder, a manifest, an archive or a sealed watchlist, as in `overt watchlist build`. Exit code 6 when an
    image was refused, 7 when a matcher that runs has not said in time that it applied a change.

    \b
    Examples:
      overt watchlist add new/ -d deployment.yaml --reason "warrant 2026/118"
    """
    listed = deployment.watchlist.model_copy(update={"source": str(source.absolute())})
    deployment = deployment.model_copy(update={"watchlist": listed})
    with changing(deployment, By(by, reason)) as changes:
        settings = load_settings()
        wiring = Wiring(changes.world, settings, Metrics(), realtime=True)
        try:
            enrolment = enrol_folder(wiring, Bar("enrolling, images"))
        except WatchlistError as error:
            raise UserError(f"{source}: cannot be used:\n  {error}", 6) from error
        for refused in enrolment.refused:
            say(f"not enrolled: {refused}")
        published = changes.put(enrolment.entries, AuditAction.ENTRY_ADDED)
        report(changes, published, wait_s, as_json=as_json)
        if enrolment.refused:
            raise UserError(f"{len(enrolment.refused)} refused; the reasons stand above", 6)
