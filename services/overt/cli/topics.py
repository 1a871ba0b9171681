"""`overt topics acls`: who may read and write what on the cluster. `overt topics asyncapi`: the contract for others."""

from __future__ import annotations

from typing import Literal

import click

from overt.cli.options import deployment_option
from overt.cli.progress import say
from overt.governance.deployment import Deployment
from overt.runtime.asyncapi import as_yaml, document
from overt.runtime.avro import Schemas
from overt.runtime.cluster import TopicsAdmin
from overt.runtime.grants import DOWNSTREAM, as_json, as_kafka, as_text
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import load_settings
from overt.runtime.topics import load_topics


@click.command(short_help="Who may read and write what; with --apply on the cluster.")
@deployment_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "kafka", "json"]),
    default="text",
    show_default=True,
    help="A table, commands for kafka-acls.sh, or JSON.",
)
@click.option(
    "--downstream",
    multiple=True,
    default=[DOWNSTREAM],
    show_default=True,
    metavar="NAME",
    help="A system that takes alerts, and nothing else: its principal, and what its consumer groups' names begin with."
    " Repeatable.",
)
@click.option("--apply", is_flag=True, help="Bring the cluster to it, as an administrator (OVERT_KAFKA_USERNAME).")
def acls(
    deployment: Deployment, form: Literal["text", "kafka", "json"], downstream: tuple[str, ...], apply: bool
) -> None:
    """The rights of each service's principal on Kafka, as they follow from producers and consumers in
    schemas/topics.yaml. Without --apply it connects to nothing.

    With --apply rights that are missing are given, and those that these principals have on the deployment's topics and
    groups beyond these are taken away. What others have is left alone.

    \b
    Examples:
      overt topics acls -d deployment.yaml
      overt topics acls -d deployment.yaml --format kafka > acls.sh
      overt topics acls -d deployment.yaml --downstream case-system --downstream control-room --apply
    """
    admin = TopicsAdmin(deployment, load_settings())
    rights = admin.grants(downstream)
    for line in {"text": as_text, "kafka": as_kafka, "json": as_json}[form](rights):
        click.echo(line)
    if apply:
        given, taken = admin.apply_grants(rights)
        say(f"{len(rights)} rights: {len(given)} given now, {len(taken)} taken away")


@click.command(short_help="The topics as an AsyncAPI document.")
@click.option(
    "--server", default="kafka:9092", show_default=True, metavar="HOST:PORT", help="The broker that it names."
)
def asyncapi(server: str) -> None:
    """The topics and their records as an AsyncAPI 3 document, in YAML: for catalogues of interfaces, and for tools that
    make code or pages of one. Connects to nothing.

    \b
    Examples:
      overt topics asyncapi > asyncapi.yaml
      overt topics asyncapi --server broker.example:9095
    """
    folder = schemas_dir()
    topics, schemas = load_topics(folder / "topics.yaml"), Schemas(folder)
    click.echo(
        as_yaml(document(topics, schemas.__getitem__, prefix=load_settings().topic_prefix, server=server)), nl=False
    )
