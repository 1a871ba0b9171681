"""From `deployment.yaml` to a `Deployment`, or to a list of everything that is wrong with the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from overt.governance import yamltext
from overt.governance.cameras import SourceKind, kind_of
from overt.governance.crosschecks import crosschecks
from overt.governance.deployment import Deployment
from overt.governance.fields import Loc
from overt.governance.wording import meaning, message_of
from overt.governance.yamltext import Tree

MAX_BYTES = 1 << 20
_PASSWORD = re.compile(r":(?!//\*\*\*@)\S+@")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, where it stands, and what to do about it."""

    file: str
    line: int
    """From 1; 0 when it is about the file itself."""
    field: str
    """For example `cameras[0].zone.polygon[2]`; empty when it is about the text."""
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class DeploymentError(ValueError):
    """A deployment file that cannot be used. `problems` lists all that is wrong, in the order of the lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(
            replace(problem, field=_without_password(problem.field), message=_without_password(problem.message))
            for problem in problems
        )
        count = len(problems)
        head = f"{problems[0].file}: {count} problem{'s' if count > 1 else ''}, nothing was started"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


def _without_password(text: str) -> str:
    """Where a space or a line break is missing, an address stands in a key, a tag or a path, and they are quoted."""
    return _PASSWORD.sub(":***@", text)


def load_deployment(path: str | Path, *, check_files: bool = False) -> Deployment:
    """Reads a deployment file; paths in it become absolute, from the file's own folder.

    With `check_files` local sources and the watchlist's folder must exist, as they must where cameras are read.
    Raises DeploymentError, which lists every problem at once with its line and field.
    """
    path = Path(path)
    file = str(path)
    tree = yamltext.read(_text_of(path))
    problems = [Problem(file, fault.line, field_name(fault.loc), fault.message) for fault in tree.faults]
    if tree.broken:
        raise DeploymentError(problems)
    if not isinstance(tree.value, dict):
        found = "is empty" if tree.value is None else f"holds a {'list' if isinstance(tree.value, list) else 'text'}"
        problems.append(
            Problem(file, 1, "", f"{found}; expected keys with values, the first one deployment: and its name")
        )
        raise DeploymentError(problems)
    deployment, found_problems = _validated(tree, file, path.absolute().parent)
    problems += found_problems
    if deployment is not None and check_files:
        problems += [Problem(file, tree.line_of(loc), field_name(loc), text) for loc, text in _absent(deployment)]
    if deployment is None or problems:
        raise DeploymentError(problems)
    return deployment


def _text_of(path: Path) -> str:
    """The file's text. Raises DeploymentError when there is none, or it is too large or not UTF-8."""

    def fail(message: str, line: int = 0) -> DeploymentError:
        return DeploymentError([Problem(str(path), line, "", message)])

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise fail("there is no such file; give the path of the deployment file") from None
    except IsADirectoryError:
        raise fail("is a folder; give the path of the deployment file in it") from None
    except OSError as error:
        raise fail(f"cannot be read ({error.strerror}); check its permissions") from None
    if len(data) > MAX_BYTES:
        raise fail("is larger than 1 MiB, which no deployment needs; is this the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fail("is not UTF-8 text; save it as UTF-8", line) from None


def _validated(tree: Tree, file: str, base: Path) -> tuple[Deployment | None, list[Problem]]:
    findings: dict[tuple[Loc, str], None] = dict.fromkeys(crosschecks(tree.value))
    deployment = None
    try:
        deployment = Deployment.model_validate(tree.value, context={"base": base})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            if detail["loc"] == () and findings:
                continue  # the whole says in one text what the cross-checks have said in their places
            message = message_of(detail, _value_at(tree.value, detail["loc"]))
            if message is not None:
                findings[detail["loc"], message] = None
    faulty = {fault.loc for fault in tree.faults}
    return deployment, [
        Problem(file, tree.line_of(loc), field_name(loc), message)
        for loc, message in _explained_once(findings)
        if loc not in faulty  # what is wrong with the text there is said already
    ]


def _explained_once(findings: Iterable[tuple[Loc, str]]) -> Iterator[tuple[Loc, str]]:
    """A polygon with ten wrong corners explains what a polygon is with the first of them."""
    explained = set()
    for loc, message in findings:
        explanation = meaning(loc)
        if explanation and message.endswith(explanation):
            yield loc, message.removesuffix(explanation) if explanation in explained else message
            explained.add(explanation)
        else:
            yield loc, message


def _absent(deployment: Deployment) -> Iterator[tuple[Loc, str]]:
    for index, camera in enumerate(deployment.cameras):
        if camera.source_file is not None and not Path(camera.source_file).is_file():
            yield ("cameras", index, "source_file"), f"there is no file {camera.source_file}; check the path"
        elif camera.source and kind_of(camera.source) is SourceKind.PATH and not Path(camera.source).exists():
            yield ("cameras", index, "source"), f"there is no file or folder {camera.redacted}; check the path"
    folder = Path(deployment.watchlist.source)
    if not deployment.watchlist.is_folder:
        if not folder.is_file():
            yield ("watchlist", "source"), f"there is no file {folder}; check the path"
        return
    if not folder.is_dir():
        yield ("watchlist", "source"), f"there is no folder {folder}; check the path"
        return
    for index, category in enumerate(deployment.watchlist.categories):
        if category.folder is not None and not (folder / category.folder).is_dir():
            yield (
                ("watchlist", "categories", index, "folder"),
                f"there is no folder {folder / category.folder}; check the name",
            )


def field_name(loc: Loc) -> str:
    """A place as one writes it: `cameras[0].zone.polygon[2]`."""
    name = ""
    for part in loc:
        if part != yamltext.AGAIN:
            name += f"[{part}]" if isinstance(part, int) else f"{'.' if name else ''}{part}"
    return name


def _value_at(value: Any, loc: Loc) -> Any:
    for part in loc:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
