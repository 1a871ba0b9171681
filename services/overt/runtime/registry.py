"""A Confluent-compatible schema registry behind the codec's `Registry`. Used only where one is configured."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from overt.ports import Unavailable, Undecodable
from overt.runtime.access import Access
from overt.runtime.avro import Schema, SchemaError

_NO_SUCH_SCHEMA = 40403
_REFUSED = (409, 422)


class ServerRegistry:
    """Ids of a server. Schemas are registered under `<topic>-value` when a service first writes them."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        """Connects to nothing yet. Raises ValueError for what is no address, without quoting it."""
        try:
            parts = urlsplit(url)
            port = f":{parts.port}" if parts.port else ""
            self._client = SchemaRegistryClient.new_client({"url": url, **_properties(access or Access())})
        except ValueError:
            raise ValueError(
                "expected http://host:port or https://...; percent-encode @ : / ? # in a password"
            ) from None
        self._where = f"{parts.scheme}://{parts.hostname}{port}"  # for messages: without user and password
        self._schemas: dict[int, Schema] = {}

    def id_of(self, subject: str, schema: Schema) -> int:
        """Registers the schema under the subject. Raises SchemaError when the server refuses it, as incompatible with
        what readers of the subject know; Unavailable."""
        try:
            return int(self._client.register_schema(subject, RegisteredSchema(json.dumps(schema), "AVRO")))
        except SchemaRegistryError as error:
            if error.http_status_code in _REFUSED:
                why = f"refuses {schema['name']} under {subject}: {error.error_message}"
                raise SchemaError(f"the schema registry at {self._where} {why}") from error
            raise self._away(error) from error
        except Exception as error:  # the HTTP library's own kinds: the server cannot be reached
            raise self._away(error) from error

    def schema_of(self, schema_id: int) -> Schema:
        """The schema with this id. Raises Undecodable when the server does not know it; Unavailable."""
        if schema_id not in self._schemas:
            try:
                found = self._client.get_schema(schema_id)
            except SchemaRegistryError as error:
                if error.error_code == _NO_SUCH_SCHEMA or error.http_status_code == 404:
                    raise Undecodable(f"the schema registry knows no schema with the id {schema_id}") from error
                raise self._away(error) from error
            except Exception as error:  # the HTTP library's own kinds: the server cannot be reached
                raise self._away(error) from error
            self._schemas[schema_id] = json.loads(found.schema_str or "null")
        return self._schemas[schema_id]

    def _away(self, error: Exception) -> Unavailable:
        # Never the error's text: it may quote the address, and a password in it.
        return Unavailable(
            f"the schema registry at {self._where} does not do what was asked ({type(error).__name__}){_hint(error)}"
        )


def _properties(access: Access) -> dict[str, str]:
    """Of the server's client."""
    user = None if access.username is None else f"{access.username}:{access.password}"
    found = {
        "basic.auth.user.info": user,
        "ssl.ca.location": access.ca_file,
        "ssl.certificate.location": access.certificate_file,
        "ssl.key.location": access.key_file,
        "ssl.key.password": access.key_password,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _hint(error: Exception) -> str:
    """What to do about it, where that is known."""
    if isinstance(error, SchemaRegistryError) and error.http_status_code in (401, 403):
        return (
            f": it answers {error.http_status_code}; are OVERT_SCHEMA_REGISTRY_USERNAME and"
            " OVERT_SCHEMA_REGISTRY_PASSWORD_FILE a user's who may register schemas?"
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ": its certificate is not believed; does OVERT_SCHEMA_REGISTRY_CA_FILE name who signed it?"
    if "CERTIFICATE_REQUIRED" in str(error):
        return ": it asks for a certificate; set OVERT_SCHEMA_REGISTRY_CERTIFICATE_FILE and its KEY_FILE"
    return ""
