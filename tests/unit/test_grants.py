"""The cluster's access control lists follow from topics.yaml: who is not named there may nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from overt.runtime.grants import (
    ADMINISTRATOR,
    CENTRE,
    DOWNSTREAM,
    ROLES,
    Grant,
    Resource,
    as_json,
    as_kafka,
    as_text,
    grants,
    ours,
)
from overt.runtime.resources import schemas_dir
from overt.runtime.topics import TopicsError, load_topics
from overt.runtime.wiring import STAGES
from tests.support.typed import DEPLOYMENT, typed

INFRA = Path(__file__).resolve().parents[2] / "infra"
TOPICS = load_topics(schemas_dir() / "topics.yaml")
RIGHTS = grants(TOPICS, prefix="overt.", deployment_id="d1")
SEALED_FOR_SECONDS = ("frames", "faces", "embeddings")


def _may(principal: str, operation: str) -> set[str]:
    """Topics of which the principal may."""
    return {
        g.name.removeprefix("overt.")
        for g in RIGHTS
        if (g.principal, g.resource, g.operation) == (principal, Resource.TOPIC, operation)
    }


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_is_written_by_its_producers_and_read_by_its_consumers_and_nobody_else(name: str) -> None:
    found = {
        operation: {g.principal for g in RIGHTS if (g.name, g.operation) == (f"overt.{name}", operation)}
        for operation in ("Write", "Read")
    }
    assert found == {"Write": set(TOPICS[name].producers), "Read": set(TOPICS[name].consumers)}


def test_only_alerters_consoles_statistics_webhooks_centres_and_downstream_systems_read_alerts() -> None:
    assert {role for role in ROLES if "alerts" in _may(role, "Read")} == {
        "alerter",
        CENTRE,
        "console",
        "statistics",
        "webhook",
        DOWNSTREAM,
    }


def test_a_downstream_system_reads_alerts_and_writes_nothing() -> None:
    assert _may(DOWNSTREAM, "Read") == {"alerts"}
    assert not _may(DOWNSTREAM, "Write")


def test_a_centre_takes_alerts_and_statistics_with_their_settings_and_nothing_else() -> None:
    """It is in no group, writes nothing, and learns how long these two are kept."""
    mine = {(g.resource, g.name, g.operation) for g in RIGHTS if g.principal == CENTRE}
    topics, may = ("overt.alerts", "overt.site-stats"), ("Read", "DescribeConfigs")
    assert mine == {(Resource.TOPIC, name, operation) for name in topics for operation in may}


def test_a_webhook_reads_alerts_in_its_group_and_leaves_dead_letters_and_nothing_else() -> None:
    assert _may("webhook", "Read") == {"alerts"}
    assert _may("webhook", "Write") == {"deadletters"}


def test_what_is_sealed_for_seconds_is_read_by_the_next_stage_only() -> None:
    for name in SEALED_FOR_SECONDS:
        readers = {role for role in ROLES if name in _may(role, "Read")}
        assert len(readers) == 1, name
        assert readers <= set(STAGES)


def test_who_administers_topics_reads_and_writes_none() -> None:
    mine = [g for g in RIGHTS if g.principal == ADMINISTRATOR]
    assert not [g for g in mine if g.operation in ("Read", "Write")]
    assert all((g.name, g.prefixed) == ("overt.", True) for g in mine)


def test_a_right_of_one_deployment_is_about_its_own_groups() -> None:
    groups = {g.name for g in RIGHTS if g.resource is Resource.GROUP and g.operation == "Read" and not g.prefixed}
    assert groups == {f"overt.d1.{service}" for service in (*STAGES, "statistics", "webhook")}


def test_only_a_downstream_systems_groups_and_the_administrators_topics_are_a_family() -> None:
    assert {g.principal for g in RIGHTS if g.prefixed} == {DOWNSTREAM, ADMINISTRATOR}


def test_each_downstream_system_has_a_principal_and_groups_of_its_own() -> None:
    found = grants(TOPICS, prefix="overt.", deployment_id="d1", downstream=["case-system", "control-room"])
    assert Grant("case-system", Resource.GROUP, "case-system", "Read", prefixed=True) in found
    assert Grant("control-room", Resource.TOPIC, "overt.alerts", "Read") in found
    assert DOWNSTREAM not in {g.principal for g in found}
    for service in (*ROLES - {DOWNSTREAM}, ADMINISTRATOR):
        with pytest.raises(TopicsError, match=f"'{service}' is the name of a service"):
            grants(TOPICS, prefix="overt.", deployment_id="d1", downstream=[service])


@pytest.mark.parametrize("field", ["producer", "consumers"])
def test_a_name_that_is_no_role_is_refused_instead_of_given_rights(field: str) -> None:
    wrong = {"frames": TOPICS["frames"].model_copy(update={field: ["detectr"]})}
    with pytest.raises(TopicsError, match=r"^topics\.frames: 'detectr' is no role; expected of alerter, "):
        grants(wrong, prefix="overt.", deployment_id="d1")


def test_only_what_a_deployment_gave_is_its_own_to_take_away() -> None:
    def mine(grant: Grant) -> bool:
        return ours(grant, RIGHTS, prefix="overt.", deployment_id="d1")

    assert mine(Grant("detector", Resource.TOPIC, "overt.alerts", "Read"))
    assert mine(Grant("detector", Resource.GROUP, "overt.d1.alerter", "Read"))
    assert not mine(Grant("detector", Resource.GROUP, "overt.d2.detector", "Read"))
    assert not mine(Grant("detector", Resource.TOPIC, "others", "Read"))
    assert not mine(Grant("mirror", Resource.TOPIC, "overt.alerts", "Read"))


def test_the_forms_say_the_same() -> None:
    objects = [json.loads(line) for line in as_json(RIGHTS)]
    assert [Grant(**{**o, "resource": Resource(o["resource"])}) for o in objects] == RIGHTS
    commands = as_kafka(RIGHTS)
    assert len(commands) == len(RIGHTS)
    assert commands[1].endswith(
        "--add --allow-principal User:alerter --operation Read --group overt.d1.alerter --resource-pattern-type literal"
    )
    assert re.search(r"^downstream +group +downstream\* +Read$", "\n".join(as_text(RIGHTS)), re.MULTILINE)


def test_the_command_prints_them_without_a_cluster(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT)
    done = typed("topics", "acls", "-d", file, "--downstream", "case-system", kafka_bootstrap="127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "case-system  topic  overt.alerts" in done.stdout
    refused = typed("topics", "acls", "-d", file, "--downstream", "matcher")
    assert refused.returncode == 2
    assert "'matcher' is the name of a service" in refused.stderr


def test_development_secrets_are_made_for_every_principal() -> None:
    text = (INFRA / "security" / "make-dev-certs").read_text()
    listed = re.search(r'^KAFKA_USERS="(.*)"$', text, re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split()) == {*ROLES, ADMINISTRATOR, "admin"}
