"""Parting events into an open and a personal part, on message types made for the purpose and on our own events."""

import importlib
from collections.abc import Callable

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.personal import PersonalInRecursion, PersonalInRepeated, has_personal, merge, split
from rapport.annotations.v1.data_class_pb2 import DATA_CLASS_OPEN, DATA_CLASS_PERSONAL, DataClass, data_class
from rapport.events.v1.interaction_pb2 import AttributeText, InteractionCorrected, InteractionRecorded

Field = descriptor_pb2.FieldDescriptorProto


def add_field(
    message: descriptor_pb2.DescriptorProto,
    name: str,
    kind: "Field.Type.ValueType" = Field.TYPE_STRING,
    *,
    data: "DataClass.ValueType" = DATA_CLASS_OPEN,
    repeated: bool = False,
    of: str = "",
) -> descriptor_pb2.FieldDescriptorProto:
    label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=len(message.field) + 1, type=kind, label=label)
    if of:
        field.type_name = f".test.{of}"
    field.options.Extensions[data_class] = data
    return field


def make_file() -> descriptor_pb2.FileDescriptorProto:
    """Message types that have every form of field a personal one can take."""
    file = descriptor_pb2.FileDescriptorProto(name="test/personal.proto", package="test", syntax="proto3")

    evidence = file.message_type.add(name="Evidence")
    add_field(evidence, "url", data=DATA_CLASS_PERSONAL)
    add_field(evidence, "kind")

    event = file.message_type.add(name="Event")
    add_field(event, "code")
    add_field(event, "text", data=DATA_CLASS_PERSONAL)
    add_field(event, "age", Field.TYPE_INT32, data=DATA_CLASS_PERSONAL)
    nickname = add_field(event, "nickname", data=DATA_CLASS_PERSONAL)
    nickname.proto3_optional, nickname.oneof_index = True, 1
    add_field(event, "notes", data=DATA_CLASS_PERSONAL, repeated=True)
    add_field(event, "proofs", Field.TYPE_MESSAGE, data=DATA_CLASS_PERSONAL, repeated=True, of="Evidence")
    entry = event.nested_type.add(name="TraitsEntry")
    entry.options.map_entry = True
    add_field(entry, "key")
    add_field(entry, "value")
    add_field(event, "traits", Field.TYPE_MESSAGE, data=DATA_CLASS_PERSONAL, repeated=True, of="Event.TraitsEntry")
    add_field(event, "evidence", Field.TYPE_MESSAGE, of="Evidence")
    add_field(event, "witness", Field.TYPE_MESSAGE, data=DATA_CLASS_PERSONAL, of="Evidence")
    event.oneof_decl.add(name="answer")
    add_field(event, "answer_code").oneof_index = 0
    add_field(event, "answer_text", data=DATA_CLASS_PERSONAL).oneof_index = 0
    add_field(event, "answer_proof", Field.TYPE_MESSAGE, of="Evidence").oneof_index = 0
    event.oneof_decl.add(name="_nickname")
    add_field(event, "codes", repeated=True)

    batch = file.message_type.add(name="Batch")
    add_field(batch, "request_id")
    add_field(batch, "items", Field.TYPE_MESSAGE, repeated=True, of="Event")
    named = batch.nested_type.add(name="NamedEntry")
    named.options.map_entry = True
    add_field(named, "key")
    add_field(named, "value", Field.TYPE_MESSAGE, of="Event")
    add_field(batch, "named", Field.TYPE_MESSAGE, repeated=True, of="Batch.NamedEntry")

    holder = file.message_type.add(name="Holder")
    add_field(holder, "batch", Field.TYPE_MESSAGE, of="Batch")

    tree = file.message_type.add(name="Tree")
    add_field(tree, "text", data=DATA_CLASS_PERSONAL)
    add_field(tree, "left", Field.TYPE_MESSAGE, of="Tree")

    plain = file.message_type.add(name="Plain")
    add_field(plain, "code")
    add_field(plain, "next", Field.TYPE_MESSAGE, of="Plain")
    return file


POOL = descriptor_pool.DescriptorPool()
POOL.Add(make_file())


def new(name: str, **fields: object) -> Message:
    message_class: Callable[..., Message] = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"test.{name}"))
    return message_class(**fields)


# Each sets one personal field, in one of the forms.
PERSONAL: list[dict[str, object]] = [
    {"text": "Anna"},
    {"age": 44},
    {"nickname": "Anni"},
    {"nickname": ""},  # Set, though empty.
    {"notes": ["called twice", ""]},
    {"proofs": [{"url": "https://example.org/a", "kind": "photo"}, {}]},
    {"traits": {"hair": "red", "": ""}},
    {"evidence": {"url": "https://example.org/b"}},
    {"evidence": {"url": "https://example.org/b", "kind": "photo"}},
    {"witness": {"kind": "neighbour"}},
    {"witness": {}},  # Set, though empty.
    {"answer_text": "perhaps"},
    {"answer_text": ""},
    {"answer_proof": {"url": "https://example.org/c"}},
]
OPEN: list[dict[str, object]] = [
    {},
    {"code": "x"},
    {"codes": ["a", "b"]},
    {"evidence": {}},
    {"evidence": {"kind": "photo"}},
    {"answer_code": "yes"},
    {"answer_proof": {"kind": "photo"}},
]


@pytest.mark.parametrize("fields", PERSONAL)
def test_a_personal_field_of_any_form_leaves_the_open_part_and_comes_back(fields: dict[str, object]) -> None:
    event = new("Event", code="x", **fields)

    opened, personal = split(event)

    assert personal
    assert not has_personal(opened)
    assert event == merge(opened, personal)
    assert event == new("Event", code="x", **fields), "the event itself must stay as it was"


@pytest.mark.parametrize("fields", OPEN)
def test_without_personal_content_the_event_itself_is_the_open_part(fields: dict[str, object]) -> None:
    event = new("Event", **fields)

    opened, personal = split(event)

    assert opened is event
    assert b"" == personal
    assert not has_personal(event)
    assert event == merge(opened, personal)


@pytest.mark.parametrize("fields", PERSONAL)
def test_the_personal_part_holds_nothing_that_is_open(fields: dict[str, object]) -> None:
    _, personal = split(new("Event", code="open-code", codes=["open-code"], **fields))

    assert b"open-code" not in personal


def test_open_and_personal_fields_of_one_nested_message_part_and_merge() -> None:
    opened, personal = split(new("Event", evidence={"url": "https://example.org", "kind": "photo"}))

    assert new("Event", evidence={"kind": "photo"}) == opened
    assert new("Event", evidence={"url": "https://example.org"}) == type(opened).FromString(personal)


def test_a_nested_message_without_personal_content_is_not_in_the_personal_part() -> None:
    _, personal = split(new("Event", text="Anna", evidence={"kind": "photo"}))

    assert new("Event", text="Anna").SerializeToString() == personal


def test_a_nested_message_that_held_only_personal_fields_stays_set() -> None:
    opened, _ = split(new("Event", evidence={"url": "https://example.org"}))

    assert opened.HasField("evidence")


def test_unknown_fields_are_stored_nowhere() -> None:
    unknown = bytes.fromhex("fa07") + b"\x06secret"  # Field 127, of six bytes.
    nested = new("Event", code="x", evidence={"kind": "photo"}).SerializeToString() + b"\x42\x09" + unknown
    for extra in (b"", new("Event", text="Anna").SerializeToString()):
        event = type(new("Event")).FromString(nested + unknown + extra)

        opened, personal = split(event)

        assert b"secret" not in opened.SerializeToString() + personal


@given(st.lists(st.sampled_from(PERSONAL + OPEN), max_size=6))
def test_any_mixture_merges_back_to_the_same_bytes(choices: list[dict[str, object]]) -> None:
    event = new("Event")
    for fields in choices:
        event.MergeFrom(new("Event", **fields))

    opened, personal = split(event)

    assert event.SerializeToString(deterministic=True) == merge(opened, personal).SerializeToString(deterministic=True)
    assert has_personal(event) == (personal != b"")


def test_damaged_personal_bytes_are_refused() -> None:
    with pytest.raises(DecodeError):
        merge(new("Event"), b"\xff")


def test_items_with_personal_fields_make_no_event() -> None:
    for name in ("Batch", "Holder"):
        with pytest.raises(PersonalInRepeated):
            split(new(name))


def test_personal_content_of_a_request_is_found_in_lists_and_maps() -> None:
    open_items = [{"code": "x"}, {"code": "y"}]

    assert not has_personal(new("Batch", items=open_items, named={"a": new("Event", code="x")}))
    assert has_personal(new("Batch", items=[*open_items, {"text": "Anna"}]))
    assert has_personal(new("Batch", named={"a": new("Event", text="Anna")}))
    assert has_personal(new("Holder", batch={"items": [{"text": "Anna"}]}))


def test_a_recursive_type_is_refused_only_where_it_holds_personal_fields() -> None:
    plain = new("Plain", next={"next": {"code": "x"}})

    assert (plain, b"") == split(plain)
    with pytest.raises(PersonalInRecursion):
        split(new("Tree"))
    with pytest.raises(PersonalInRecursion):
        has_personal(new("Tree"))


def test_an_interaction_keeps_its_codes_and_gives_its_words_away() -> None:
    event = InteractionRecorded(campaign="spring", summary="Asked about the invoice.")
    event.attribute_texts.append(AttributeText(text="prefers letters"))

    opened, personal = split(event)

    assert InteractionRecorded(campaign="spring") == opened
    assert event == merge(opened, personal)


def test_a_correction_is_descended_into() -> None:
    event = InteractionCorrected(original_position=3, reason_text="typing error")
    event.replacement.CopyFrom(InteractionRecorded(campaign="spring", summary="Asked about the invoice."))

    opened, personal = split(event)

    assert b"invoice" not in opened.SerializeToString()
    assert "spring" == opened.replacement.campaign
    assert event == merge(opened, personal)


@pytest.mark.parametrize("module", ["interaction", "consent", "exchange", "policy", "privacy", "ledger"])
def test_every_message_of_our_events_can_be_parted(module: str) -> None:
    messages = importlib.import_module(f"rapport.events.v1.{module}_pb2").DESCRIPTOR.message_types_by_name.values()

    assert messages
    for descriptor in messages:
        event = message_factory.GetMessageClass(descriptor)()
        assert (event, b"") == split(event)
