"""`overt watchlist`: the watchlist of a deployment, from its making to its end."""

from __future__ import annotations

import click

from overt.cli.lazy import LazyGroup

_COMMANDS = {
    "build": ("overt.cli.watchlist_build", "Enrol images into a sealed watchlist file, with a report."),
    "publish": ("overt.cli.watchlist_build", "Enrol the watchlist's folder and publish it, sealed."),
    "show": ("overt.cli.watchlist_file", "What a sealed watchlist file holds, without a biometric."),
    "verify": ("overt.cli.watchlist_file", "Prove that a sealed watchlist file can be used, entry by entry."),
    "diff": ("overt.cli.watchlist_edit", "Who came, who went and what changed between two sealed lists."),
    "merge": ("overt.cli.watchlist_edit", "Join sealed lists into one."),
    "reseal": ("overt.cli.watchlist_edit", "Renew a sealed list: without who has left it, until the window's end."),
    "destroy": ("overt.cli.watchlist_end", "Destroy a watchlist: its keys, its file, and a certificate of it."),
    "was-listed": ("overt.cli.watchlist_pseudonyms", "Whether somebody was on a list that is gone."),
    "add": ("overt.cli.watchlist_build", "Add people to the list, while matchers run."),
    "update": ("overt.cli.watchlist_live", "Change entries of the list, while matchers run."),
    "remove": ("overt.cli.watchlist_live", "Remove people from the list, for good, while matchers run."),
    "log": ("overt.cli.watchlist_live", "Who changed the list, when and why."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def watchlist() -> None:
    """The watchlist of a deployment: made with care, sealed, gone without trace.

    \b
    Examples:
      overt watchlist build people.csv --out list.watchlist -d deployment.yaml --report-dir review/
      overt watchlist show list.watchlist -d deployment.yaml
      overt watchlist destroy list.watchlist -d deployment.yaml --reason "deployment over"
    """
