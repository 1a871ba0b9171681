"""What the README shows works as it stands there: the subscriber's code, every command, every path."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from overt.cli import cli
from overt.messages import TOPIC_OF, Alert
from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.codec import SealingCodec
from overt.runtime.kafka import KafkaSettings, KafkaSink, apply_changes, existing_topics
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings
from overt.runtime.topics import load_topics, plan
from overt.runtime.vault import SealingVault
from tests.support import messages as make
from tests.support.bus import unique
from tests.support.child import Child
from tests.support.kafka_broker import KafkaBroker
from tests.support.messages import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TEXTS = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
_ENDS = {"|", "||", "&&", ";", ">", "<", "&"}


# The subscriber


def _codec(folder: Path, prefix: str) -> SealingCodec:
    create_deployment_key(folder / "key")
    keyring = Keyring(folder / "keyring", load_deployment_key(folder / "key"), "d1")
    keyring.create_file()
    vault = SealingVault("d1", MemoryTransientKeys(), keyring)
    return SealingCodec(
        AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record), vault, prefix=prefix, frame_form="jpeg"
    )


def _produce(broker: KafkaBroker, folder: Path, prefix: str, alert: Alert) -> None:
    settings = KafkaSettings(broker.bootstrap)
    topics = load_topics(schemas_dir() / "topics.yaml")
    existing = existing_topics(settings, [prefix + name for name in topics])
    kept = dict.fromkeys(topics, 3_600_000)
    apply_changes(settings, plan(topics, cameras_partitions=1, prefix=prefix, retention_ms=kept, existing=existing))
    sink = KafkaSink(settings)
    sink.produce(prefix + TOPIC_OF[Alert], key=alert.key, value=_codec(folder, prefix).encode(alert))
    sink.flush(30.0)
    sink.close()


def test_the_subscriber_of_the_readme_sees_an_alert_on_real_kafka(kafka: KafkaBroker, tmp_path: Path) -> None:
    """It runs as printed, where the repository lies; only the broker's address and the topic are others."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    prefix = unique("readme") + "."
    for printed, here in (
        ("kafka:9092", kafka.bootstrap),
        ("overt.alerts", f"{prefix}alerts"),
        ("my-system", unique("g")),
    ):
        assert code.count(printed) == 1
        code = code.replace(printed, here)
    _produce(kafka, tmp_path, prefix, make.alert(alert_id="0b5c", similarity=0.5))
    argv = [sys.executable, "-u", "-c", code]
    with Child(argv, log_path=tmp_path / "log", cwd=ROOT, env=dict(os.environ)) as subscriber:
        subscriber.spawn()
        subscriber.wait_until(lambda: "\n" in subscriber.log_text(), 60, what="at its first alert")
    assert subscriber.log_text().splitlines() == ["0b5c c1 A 0.5"]


# Commands


def _shown(text: str) -> Iterator[str]:
    """Command lines: after a prompt in a console block, and between backquotes."""
    yield from (line[2:] for line in text.splitlines() if line.startswith("$ "))
    without_blocks = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (" ".join(quoted.split()) for quoted in re.findall(r"`([^`]+)`", without_blocks))


def _overt_command(line: str) -> list[str] | None:
    """The words after `overt` in a command line, up to a pipe or redirection; None where it is another command's."""
    words = [*shlex.split(line, comments=True)]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if not words or words[0] not in ("overt", ".venv/bin/overt"):
        return None
    ends = [index for index, word in enumerate(words) if word in _ENDS]
    return [word for word in words[1 : min(ends, default=len(words))] if word != "..."]


def _in_code(text: str) -> Iterator[str]:
    """What messages and help texts name: `overt WORDS` with no place left open; a line that goes on is one."""
    text = re.sub(r"\s*\\\\\n\s+", " ", text)
    yield from (found for found in re.findall(r"`(overt [a-z][^`\n]*)`", text) if "{" not in found and '"' not in found)
    yield from re.findall(r"^ +((?:[A-Z_]+=\S+ )?overt (?!serve \{)[a-z]+ .*?)(?:   .*)?$", text, re.MULTILINE)


def _commands() -> list[tuple[str, tuple[str, ...]]]:
    found = {(path.name, line) for path in TEXTS for line in _shown(path.read_text("utf-8"))}
    found |= {
        (str(path.relative_to(ROOT)), line)
        for path in (ROOT / "services" / "overt").rglob("*.py")
        for line in _in_code(path.read_text("utf-8"))
    }
    return sorted(
        (where, choice)
        for where, line in found
        if (words := _overt_command(line)) is not None
        for choice in itertools.product(*(word.split("|") for word in words))
    )


COMMANDS = _commands()


def refuse_unknown(words: tuple[str, ...]) -> None:
    """Raises click's error for a command, option or choice that does not exist. Nothing runs, no file is looked for."""
    command: click.Command = cli
    context = click.Context(cli, info_name="overt")
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    options, left, _ = command.make_parser(context).parse_args(rest)
    if left:
        raise click.UsageError(f"too many words: {left}")
    for parameter in command.params:
        value = options.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str) and not value.isupper():
            parameter.type.convert(value, parameter, context)


@pytest.mark.parametrize(("where", "words"), COMMANDS, ids=[f"{w}: overt {' '.join(c)}" for w, c in COMMANDS])
def test_every_command_that_is_shown_exists_with_its_options(where: str, words: tuple[str, ...]) -> None:
    refuse_unknown(words)


def test_the_commands_of_the_readme_are_among_them() -> None:
    shown = {words[:2] for where, words in COMMANDS if where == "README.md"}
    assert {
        ("keys", "create"),
        ("topics", "apply"),
        ("watchlist", "publish"),
        ("serve", "frame"),
        ("alerts", "tail"),
        ("alerts", "adjudicate"),
        ("deployment", "check"),
        ("erasure", "verify"),
        ("models", "import"),
        ("models", "list"),
        ("run", "deployment.yaml"),
        ("settings",),
    } <= shown


@pytest.mark.parametrize(
    "line", ["nosuch", "alerts tail --nosuch", "serve nosuch", "models list two words", "models x"]
)
def test_a_command_that_does_not_exist_would_be_seen(line: str) -> None:
    with pytest.raises(click.UsageError):
        refuse_unknown(tuple(line.split()))


# Paths


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(text: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text.read_text("utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (text.parent / file) if file else text
        assert place.exists(), f"{text.name} links to {target}"
        if anchor:
            words = place.read_text("utf-8")
            headings = [re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in _headings(words)]
            assert anchor in headings or f'name="{anchor}"' in words, f"{text.name} links to {target}"


def _headings(words: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", words, re.MULTILINE)


def test_the_make_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = {target for line in _shown(README) for target in re.findall(r"^make ([a-z-]+)$", line)}
    assert {"demo", "test", "check"} <= shown <= targets


def test_every_variable_that_is_shown_is_a_setting() -> None:
    """Overt's, or one of docker-compose.yml, which .env.example lists."""
    known = {f"OVERT_{name.upper()}" for name in Settings.model_fields} | {"OVERT_DEPLOYMENT", "OVERT_TEST_DATA"}
    known |= set(re.findall(r"^#?(OVERT_[A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    shown = {name for path in TEXTS for name in re.findall(r"\bOVERT_[A-Z_]+\b", path.read_text("utf-8"))}
    assert shown <= known
    assert "OVERT_METRICS_PORT" in shown
