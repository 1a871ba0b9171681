"""A centre reads the alerts of many sites with no deployment file and no key, and says when two sites have one name."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from unittest import mock

import pytest

from overt.cli import alerts
from overt.messages import Alert
from overt.ports import Record
from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.centre import Centre, open_centre
from overt.runtime.codec import SealingCodec
from overt.runtime.memory import MemoryBus
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings
from overt.runtime.topics import MAX_MESSAGE_BYTES, load_topics
from tests.support import messages as make
from tests.support.messages import SCHEMAS
from tests.support.remains import OpenVault
from tests.support.typed import typed

INFRA = Path(__file__).resolve().parents[2] / "infra" / "many-sites"
PROPERTIES = dict(re.findall(r"^([^#=\s]+)\s*=\s*(.*)$", (INFRA / "mm2.properties").read_text(), re.MULTILINE))
AVRO = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
_offsets = itertools.count()


def centre(*sites: str) -> Centre:
    return Centre(MemoryBus(lambda: 0).log(), AVRO, "overt.", sites)


def record(site: str, alert: Alert) -> Record:
    value = SealingCodec(AVRO, OpenVault(), prefix="", frame_form="jpeg").encode(alert)
    return Record(f"{site}.overt.alerts", 0, next(_offsets), alert.key, value, 0, {})


def said(at: Centre, of: Record) -> str | None:
    return at.collision(of, at.peek(of))


def test_it_sees_what_an_alert_says_and_none_of_what_is_sealed() -> None:
    fields = centre("north").peek(record("north", make.alert(alert_id="a1", site_id="north")))
    assert fields["alert_id"] == "a1"
    assert not {"probe_image", "context"} & fields.keys()


def test_sites_with_names_and_deployments_of_their_own_are_no_collision() -> None:
    at = centre("north", "south")
    for site in ("north", "south", "north"):
        assert said(at, record(site, make.alert(site_id=site, deployment_id=f"{site}-1"))) is None


def test_a_site_that_calls_itself_by_another_name_is_told_once() -> None:
    at = centre("north")
    told = [said(at, record("north", make.alert(site_id="south"))) for _ in range(2)]
    assert told == ["north.overt.alerts has alerts of a site that calls itself 'south': is that 'north'?", None]


def test_two_sites_with_one_deployments_name_are_told() -> None:
    at = centre("north", "south")
    assert said(at, record("north", make.alert(site_id="north", deployment_id="gate"))) is None
    told = said(at, record("south", make.alert(site_id="south", deployment_id="gate")))
    assert told == "north and south both have a deployment 'gate': give one another name"


def test_tail_shows_every_site_named_and_an_alert_of_each_once() -> None:
    """The same id from two sites is two alerts: a copied deployment file loses nobody."""
    bus = MemoryBus(lambda: 0)
    for site, alert_id in (("north", "a1"), ("north", "a1"), ("south", "a1"), ("east", "a2")):
        one = record(site, make.alert(alert_id=alert_id, site_id=site, deployment_id="gate"))
        bus.create(one.topic, 1)
        bus.sink().produce(one.topic, key="", value=one.value)
    at = Centre(bus.log(), AVRO, "overt.", ("north", "south"))
    with mock.patch.object(alerts, "open_centre", return_value=at):
        done = typed("alerts", "tail", "--until-end", "--site", "north", "--site", "south")
    assert [json.loads(line)["site_id"] for line in done.stdout.splitlines()] == ["north", "south"]
    assert done.stderr.count("both have a deployment 'gate'") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name a deployment file (-d, or OVERT_DEPLOYMENT); at a centre of many sites, --site"),
        (("--site", "north", "--images", "faces"), "--images: a centre has no key to any picture"),
    ],
)
def test_what_tail_cannot_do_it_says(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = typed("alerts", "tail", *words, kafka_bootstrap="127.0.0.1:1")
    assert done.returncode == 2
    assert told in done.stderr


def test_the_topics_are_those_that_mirrormaker_makes() -> None:
    assert list(open_centre(Settings(), ["site1", "site2"]).topics) == ["site1.overt.alerts", "site2.overt.alerts"]


def test_what_goes_over_is_what_the_role_may_read_and_in_one_direction() -> None:
    """The template and the contract say the same; nothing flows back, nothing is written to a site."""
    readable = {
        f"overt.{name}"
        for name, spec in load_topics(schemas_dir() / "topics.yaml").items()
        if "centre" in spec.consumers
    }
    sites = [name for name in PROPERTIES["clusters"].split(", ") if name != "centre"]
    flows = {name.partition(".")[0] for name in PROPERTIES if "->" in name}
    assert flows == {f"{site}->centre" for site in sites}
    for flow in flows:
        patterns = PROPERTIES[f"{flow}.topics"].split(", ")
        assert {name for name in readable if any(re.fullmatch(p, name) for p in patterns)} == readable
        assert {p.replace("[.]", ".") for p in patterns} == readable
        assert PROPERTIES[f"{flow}.emit.offset-syncs.enabled"] == "false"
    for name in ("emit.heartbeats", "emit.checkpoints", "sync.topic.acls", "refresh.groups"):
        assert PROPERTIES[f"{name}.enabled"] == "false"


def test_the_largest_record_of_overt_goes_over() -> None:
    assert int(PROPERTIES["centre.producer.max.request.size"]) >= MAX_MESSAGE_BYTES + 65_536
