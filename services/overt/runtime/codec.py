"""Messages to what a bus carries: Avro with everything biometric sealed; and, embedded, the messages themselves.

Which fields are sealed stands in the schemas: `overt.sealed` names the custody of the key, `overt.form` how the field
becomes bytes, `overt.context` (of the record) the fields that, with deployment, record and field name, are the sealed
bytes' associated data. A payload moved to another camera, frame, field or deployment therefore does not open.
"""

from __future__ import annotations

from typing import Any

from overt.messages import TOPIC_OF, Message
from overt.picture import Form, Picture
from overt.ports import Custody, Record, Vault
from overt.runtime.avro import AvroFormat, Schema, from_plain, to_plain

_CLASS_OF: dict[str, type[Message]] = {topic: cls for cls, topic in TOPIC_OF.items()}


class PassingCodec:
    """Hands messages over as they are: for a bus within one process."""

    def encode(self, message: Message) -> Message:
        return message

    def decode(self, record: Record) -> Message:
        message: Message = record.value
        return message


class SealingCodec:
    """Avro with sealed fields. Raises what its vault raises: KeyGone, NotAuthentic, Unavailable.

    frame_form: "png" loses nothing of a frame, so that a recording gives the same answer on every bus; "jpeg" is six
    times smaller and what a live camera's frame is sent as. unopened: fields that this process has no use for; they
    stay sealed and come out empty.
    """

    def __init__(
        self,
        avro: AvroFormat,
        vault: Vault,
        *,
        prefix: str,
        frame_form: Form,
        unopened: frozenset[str] = frozenset(),
    ) -> None:
        self._avro = avro
        self._vault = vault
        self._prefix = prefix
        self._unopened = unopened
        self._frame_form: Form = frame_form

    def encode(self, message: Message) -> bytes:
        return self._avro.dumps(type(message).__name__, self.sealed(message))

    def decode(self, record: Record) -> Message:
        cls = self._class_on(record.topic)
        return self.opened(cls, self._avro.loads(cls.__name__, record.value))

    def sealed(self, message: Message) -> Schema:
        """The record's fields as plain values, with what is biometric sealed."""
        schema = self._avro.schemas[type(message).__name__]
        plain: Schema = to_plain(message)
        for field in sealed_fields(schema):
            value = plain[field["name"]]
            if value is not None:
                data, custody = self._bytes_of(value, field["overt.form"]), Custody(field["overt.sealed"])
                plain[field["name"]] = self._vault.seal(
                    data,
                    custody=custody,
                    owner=plain.get("kind" if custody is Custody.ALERT else "entry_id", ""),
                    context=seal_context(schema, field["name"], plain),
                )
        return plain

    def opened(self, cls: type[Message], plain: Schema) -> Message:
        """The message of a record's fields, as `sealed` gave them; `plain` is changed."""
        schema = self._avro.schemas[cls.__name__]
        for field in sealed_fields(schema):
            sealed = plain[field["name"]]
            if sealed is not None and field["name"] in self._unopened:
                plain[field["name"]] = b""
            elif sealed is not None:
                context = seal_context(schema, field["name"], plain)
                plain[field["name"]] = self._vault.open(sealed, context=context)
        return from_plain(cls, plain)

    def peek(self, record: Record) -> dict[str, Any]:
        """The record's fields as plain values, without those that are sealed: for a reader that holds no key."""
        return without_sealed(self._avro, self._class_on(record.topic).__name__, record.value)

    def _class_on(self, topic: str) -> type[Message]:
        return _CLASS_OF[topic.removeprefix(self._prefix)]

    def _bytes_of(self, value: Picture | bytes, form: str) -> bytes:
        if isinstance(value, bytes):
            return value
        return value.encoded(self._frame_form if form == "frame" else "png" if form == "png" else "jpeg")


def without_sealed(avro: AvroFormat, record: str, data: object) -> dict[str, Any]:
    """The fields of a record, named as its schema is, that do not travel sealed. Raises Undecodable."""
    hidden = {field["name"] for field in sealed_fields(avro.schemas[record])}
    return {name: value for name, value in avro.loads(record, data).items() if name not in hidden}


def sealed_fields(schema: Schema) -> list[Schema]:
    """The fields of a record that travel sealed."""
    return [field for field in schema["fields"] if "overt.sealed" in field]


def seal_context(schema: Schema, field: str, plain: Schema) -> bytes:
    """The associated data of one field of one record (the vault adds the deployment)."""
    parts = [schema["name"], field, *(str(plain[name]) for name in schema["overt.context"])]
    return "\x1f".join(parts).encode()
