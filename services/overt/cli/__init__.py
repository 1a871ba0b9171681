"""The command line. Standard output is for results, standard error for what happens; each kind of failure has its own
exit code (see `overt --help`)."""

from __future__ import annotations

import os
import sys

import click

from overt import __version__
from overt.cli.exit_codes import EXIT_CODES
from overt.cli.lazy import LazyGroup

_COMMANDS = {
    "demo": ("overt.cli.embedded", "The whole pipeline on a walk-past: alerts, a video, a report."),
    "run": ("overt.cli.embedded", "Run a deployment on this machine, in one process."),
    "serve": ("overt.cli.cluster", "Run one service of a deployment over Kafka."),
    "topics": ("overt.cli.cluster", "Plan and create the topics of a deployment."),
    "watchlist": ("overt.cli.watchlist", "Make, check, publish and destroy the watchlist of a deployment."),
    "alerts": ("overt.cli.alerts", "Follow alerts, and judge them."),
    "guard": ("overt.cli.guard", "Whether a site is paused for false alerts, and resuming it."),
    "evaluate": ("overt.cli.evaluate", "How well recognition works, and for whom, on your own images."),
    "models": ("overt.cli.models", "Models and their files."),
    "keys": ("overt.cli.keys", "The deployment key, which wraps the keyring."),
    "erasure": ("overt.cli.erasure", "Prove that passers-by leave nothing behind."),
    "deployment": ("overt.cli.keys", "Check deployment files."),
    "settings": ("overt.cli.settings", "The variables of the environment that configure Overt."),
}


class _Root(LazyGroup):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)
        except BrokenPipeError:  # `overt alerts tail | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
            ctx.exit(141)


_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(cls=_Root, lazy=_COMMANDS, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version")
def cli() -> None:
    """Live facial recognition that answers for itself.

    Cameras look at an authorised zone; faces in it are compared with a watchlist made for one deployment; a possible
    match goes to a person, who decides; everybody else leaves no trace.

    \b
    Begin here:
      overt demo                                  a walk-past, its alerts and a report
      overt run deployment.yaml --out out/        one machine, nothing else to install
      overt serve detector -d deployment.yaml     one service of a cluster, over Kafka

    Everything that is configured by variables of the environment: overt settings
    """


def main() -> None:
    """The `overt` command."""
    try:
        from overt.cli.errors import reporting  # what it reports lives in modules that are slow to load

        with reporting():
            cli()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        _leave_at_once_if_stuck()


def _leave_at_once_if_stuck() -> None:
    """A camera's thread that is stuck in a call must not come back into a process that is being taken down, which would
    abort it (see `overt.frame.threads_left`): then the process ends here."""
    feed, ending = sys.modules.get("overt.frame.feed"), sys.exc_info()[1]
    if feed is not None and isinstance(ending, SystemExit) and feed.threads_left():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ending.code if isinstance(ending.code, int) else 0)
