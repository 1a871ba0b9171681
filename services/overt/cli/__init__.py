"""The command line. Standard output is for results, standard error for what happens; each kind of failure has its own
exit code (see `overt --help`)."""

from __future__ import annotations

import click

from overt import __version__
from overt.cli.errors import EXIT_CODES, reporting


class _Lazy(click.Group):
    """Imports a command's module when it is called: `overt --help` need not load a model runtime."""

    _WHERE = {  # noqa: RUF012  # click makes one instance
        "demo": ("overt.cli.embedded", "demo"),
        "run": ("overt.cli.embedded", "run"),
        "serve": ("overt.cli.cluster", "serve"),
        "topics": ("overt.cli.cluster", "topics"),
        "watchlist": ("overt.cli.cluster", "watchlist"),
        "alerts": ("overt.cli.alerts", "alerts"),
        "models": ("overt.cli.models", "models"),
        "keys": ("overt.cli.keys", "keys"),
        "deployment": ("overt.cli.keys", "deployment"),
        "erasure": ("overt.cli.erasure", "erasure"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._WHERE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._WHERE:
            return None
        from importlib import import_module

        module, name = self._WHERE[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(cls=_Lazy, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
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
    """


def main() -> None:
    """The `overt` command."""
    with reporting():
        cli()
