"""The page about contact policies says what is built in, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor import EnumDescriptor

from ledger.domain.built_in_contact_policy import BUILT_IN_CONTACT_POLICY, DEFAULT_NUMBERS
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from rapport.events.v1.consent_pb2 import LegalBasis
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, GuardianConsentAtAge, Objectable, PurposeClass
from rapport.events.v1.interaction_pb2 import Channel, MessageClass
from services.cli.contact_policy_file import read_message

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "concepts" / "contact-policy.md").read_text(encoding="utf-8")


def rows(header: str) -> set[str]:
    """Return the rows of the page's table with a header."""
    after = PAGE[PAGE.index(header) :].partition("\n\n")[0]
    return set(after.splitlines()[2:])


def name(enum: EnumDescriptor, number: int) -> str:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return enum.values_by_number[number].name.removeprefix(prefix)


def names(enum: EnumDescriptor, numbers: Iterable[int]) -> str:
    return ", ".join(name(enum, number) for number in numbers)


def test_the_defaults_are_those_of_the_built_in_policy() -> None:
    policy = BUILT_IN_CONTACT_POLICY
    exemptions = [
        f"{name(Channel.DESCRIPTOR, e.channel)} with "
        + (name(MessageClass.DESCRIPTOR, e.message_class) if e.message_class else "anything")
        for e in policy.hours_exemptions
    ]
    attention = [f"{name(Channel.DESCRIPTOR, each.channel)} {each.seconds}" for each in policy.attention_seconds]
    at_age = name(GuardianConsentAtAge.DESCRIPTOR, policy.guardian_consent_at_age)

    assert {
        *(f"| `{field}` | {getattr(policy, field):,} |" for field in DEFAULT_NUMBERS),
        f"| `default_time_zones` | {', '.join(policy.default_time_zones)} |",
        f"| `hours_exemptions` | {', '.join(exemptions)} |",
        f"| `attention_seconds` | {', '.join(attention)} |",
        f"| `guardian_consent_at_age` | {at_age} |",
    } == rows("| field | default |")


def test_the_purposes_are_those_of_the_built_in_registry() -> None:
    families: dict[str, list[str]] = {}
    for each in BUILT_IN_PURPOSES.purposes:
        rest = (
            f"{name(PurposeClass.DESCRIPTOR, each.purpose_class)} | {name(Objectable.DESCRIPTOR, each.objectable)} | "
            f"{names(LegalBasis.DESCRIPTOR, each.legal_bases)} | {names(MessageClass.DESCRIPTOR, each.message_classes)}"
        )
        families.setdefault(rest, []).append(f"`{each.slug}`")

    assert {f"| {', '.join(slugs)} | {rest} |" for rest, slugs in families.items()} == rows("| purposes | class |")


def test_the_example_on_the_page_is_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "page.toml"
    file.write_text(PAGE.partition("```toml\n")[2].partition("```")[0])

    read = read_message(file, ContactPolicy())

    assert not read.faults
    assert read.message.sources
