"""`overt settings`: the variables of the environment that configure every command and service."""

from __future__ import annotations

import click

from overt.runtime.settings import Settings, load_settings


@click.command()
def settings() -> None:
    """Every setting: its variable, what it means, its default, and whether it is set here.

    Values are not shown: an address may hold a password. Exit code 2 when one is wrong.

    \b
    Examples:
      overt settings
    """
    wrong: Exception | None = None
    named: set[str] = set()
    try:
        named = load_settings().model_fields_set
    except ValueError as error:
        wrong = error
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default is None else f" [{field.default}]"
        mark = "  (set)" if name in named else ""
        click.echo(f"{'OVERT_' + name.upper():<28} {field.description}{default}{mark}")
    if wrong is not None:
        raise wrong
