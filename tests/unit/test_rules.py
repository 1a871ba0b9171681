"""The house's rules that a machine can check: what reads the environment, what prints, what happens at import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import overt

ROOT = Path(overt.__file__).parent

# Module and reason: whoever adds one says why the rule does not hold there.
TOUCHES_THE_ENVIRONMENT = {
    "runtime/settings.py": "it is the one reader of configuration",
    "models/fetch.py": "it hands the user's own environment on to pip, a child process",
    "models/silent.py": "ONNX Runtime can only be told by a variable not to report to its maker",
    "frame/video.py": "OpenCV takes two settings from the process's environment only",
    "cli/options.py": "the deployment file may be named by a variable instead of an option",
}
TOUCHES_STANDARD_STREAMS = {
    "runtime/logs.py": "logs go to standard error",
    "output/webm.py": "it holds OpenCV's own line back from standard error",
    "governance/schema.py": "run as a program it writes the schema that is committed",
}
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})
STREAMS = frozenset({"stdout", "stderr", "__stdout__", "__stderr__"})


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package, by its path in it."""
    paths = sorted(ROOT.rglob("*.py"))
    return tuple((str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"), str(path))) for path in paths)


def attributes_of(tree: ast.Module, module: str, names: frozenset[str]) -> bool:
    """Whether `module.name` or `from module import name` stands in the tree for one of the names."""
    used = {f"{ast.unparse(n.value)}.{n.attr}" for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    taken = {f"{n.module}.{a.name}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    return bool((used | taken) & {f"{module}.{name}" for name in names})


def reads_by_option(tree: ast.Module) -> bool:
    """Whether click is told to read a variable."""
    return any(
        isinstance(node, ast.keyword) and node.arg in ("envvar", "auto_envvar_prefix") for node in ast.walk(tree)
    )


def test_only_the_settings_read_the_configuration_from_the_environment() -> None:
    found = {path for path, tree in modules() if attributes_of(tree, "os", ENVIRONMENT) or reads_by_option(tree)}
    assert found == set(TOUCHES_THE_ENVIRONMENT), "give what it needs as an argument, or say here why it cannot be"


def test_nothing_prints_outside_the_command_line() -> None:
    prints = {
        path
        for path, tree in modules()
        if attributes_of(tree, "sys", STREAMS)
        or any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print" for n in ast.walk(tree)
        )
    }
    found = {path for path in prints if not path.startswith("cli/")}
    assert found == set(TOUCHES_STANDARD_STREAMS), "return it, log it, or say here why it must be written"


def swallows(node: ast.AST) -> bool:
    """Whether any exception whatever is caught and nothing is done about it."""
    if isinstance(node, ast.ExceptHandler):
        caught = (
            {"BaseException"} if node.type is None else {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
        )
        idle = all(
            isinstance(step, ast.Pass | ast.Continue)
            or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            for step in node.body
        )
        return idle and bool(caught & {"Exception", "BaseException"})
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress"):
        return any(isinstance(arg, ast.Name) and arg.id in ("Exception", "BaseException") for arg in node.args)
    return False


def test_no_exception_whatever_is_swallowed() -> None:
    found = [f"{path}:{getattr(n, 'lineno', 0)}" for path, tree in modules() for n in ast.walk(tree) if swallows(n)]
    assert not found, "catch what is expected, by name, and count it or say it"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    ...",
        "for x in y:\n    try:\n        f()\n    except (KeyError, BaseException):\n        continue",
        "with suppress(Exception):\n    f()",
    ],
)
def test_what_swallows_is_seen(code: str) -> None:
    assert any(swallows(node) for node in ast.walk(ast.parse(code)))


AT_IMPORT = """
import os, pkgutil, sys, threading

EVENTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn")
found = []
start = threading.Thread.start

def noted_start(thread):
    found.append("a thread")
    start(thread)

threading.Thread.start = noted_start

def ours():
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(("<frozen", os.__file__)):
        frame = frame.f_back
    return frame is not None and "/services/overt/" in frame.f_code.co_filename

def hook(event, args):
    # croniter, which Faust imports, has the program `file` say whether this Python is one of 32 bits.
    if event in EVENTS and not (event == "subprocess.Popen" and args[0] == "file"):
        found.append(event)

class Watched(type(os.environ)):
    def __getitem__(self, key):
        if ours():
            found.append("environment: " + key)
        return super().__getitem__(key)

watched = Watched.__new__(Watched)
watched.__dict__.update(os.environ.__dict__)
os.environ = watched
sys.addaudithook(hook)
import overt
for module in pkgutil.walk_packages(overt.__path__, "overt."):
    seen = len(found)
    __import__(module.name)
    found[seen:] = [f"{module.name}: {what}" for what in found[seen:]]
print("\\n".join(found))
print("modules", len([name for name in sys.modules if name.startswith("overt")]))
"""


def test_nothing_connects_starts_a_thread_or_a_child_or_reads_the_environment_at_import() -> None:
    done = subprocess.run([sys.executable, "-c", AT_IMPORT], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    *found, last = done.stdout.splitlines()
    assert [what for what in found if what] == []
    assert int(last.split()[1]) > 100, "so many modules there are at least; were they imported?"


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("threading.Thread(target=print).start()", "a thread"),
        ("socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("exec(compile('os.environ[\"HOME\"]', '/services/overt/x.py', 'exec'))", "environment: HOME"),
        ("exec(compile('os.getenv(\"HOME\")', '/services/overt/x.py', 'exec'))", "environment: HOME"),
    ],
)
def test_what_happens_at_import_would_be_seen(deed: str, told: str) -> None:
    code = AT_IMPORT.split("import overt")[0] + f"import socket\n{deed}\nprint(found)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told in done.stdout


ARRAY = re.compile(r"\b(Bgr|NDArray|Vector|Floats|Numbers)\b")
NO_BIOMETRIC = {"xyxy", "scores", "mask", "numbers"}
"""Boxes, scores, the zone's stencil, a network's weights."""
SECRET = {"secret", "password", "key_password", "landmarks", "redis_url", "kafka_config", "schema_registry_url"}


def shown_fields(tree: ast.Module) -> Iterator[str]:
    """Annotated fields of classes that a repr made by a dataclass or by pydantic would show."""
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        if any(isinstance(node, ast.FunctionDef) and node.name == "__repr__" for node in cls.body):
            continue
        for field in (node for node in cls.body if isinstance(node, ast.AnnAssign)):
            if "repr=False" not in ast.unparse(field):
                yield f"{cls.name}.{ast.unparse(field.target)}: {ast.unparse(field.annotation)}"


def test_no_repr_shows_pixels_vectors_landmarks_or_secrets() -> None:
    """An exception's text or a log line that holds an object must not hold a biometric or a password."""
    shown = [
        f"{path}: {field}"
        for path, tree in modules()
        if not path.startswith("demo/")  # portraits in the public domain
        for field in shown_fields(tree)
        for name, _, kind in [field.partition(".")[2].partition(": ")]
        if name in SECRET or (ARRAY.search(kind) and "Callable" not in kind and name not in NO_BIOMETRIC)
    ]
    assert not shown, "give the field repr=False"
