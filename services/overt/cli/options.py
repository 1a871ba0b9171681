"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from overt.governance.deployment import Deployment
from overt.governance.loading import load_deployment

F = TypeVar("F", bound=Callable[..., Any])


def _load(ctx: click.Context, param: click.Parameter, value: Path | None) -> Deployment | None:
    del ctx, param
    return None if value is None else load_deployment(value)


def deployment_option(command: F) -> F:
    """`-d deployment.yaml`, handed over as a Deployment."""
    return _option(command, required=True)


def deployment_option_if_any(command: F) -> F:
    """The same, or None where it is not given."""
    return _option(command, required=False)


def _option(command: F, *, required: bool) -> F:
    return click.option(
        "-d",
        "--deployment",
        required=required,
        envvar="OVERT_DEPLOYMENT",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=_load,
        help="The deployment file (or OVERT_DEPLOYMENT).",
    )(command)
