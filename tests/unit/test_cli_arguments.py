"""What the command understands, and how it ends."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from functools import cache

import grpc
import pytest

from rapport.audit.v1.audit_service_pb2 import GetHeadResponse
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2, exchange_pb2, interaction_pb2
from rapport.relationship.v1.relationship_pb2 import Quantity
from rapport.type.v1.amount_pb2 import Amount
from services.cli import exits
from services.cli.__main__ import NOUNS, main, parser
from services.cli.arguments import Parser, known_at, time, view_of
from services.cli.balance_view import window_start
from services.cli.facts import summary
from services.cli.output import Rows, print_json, print_pairs, warn
from services.cli.relationship import gave
from services.client import DeadlineExceeded, RequestInvalid, Unavailable, Violation
from tests.unit.command_line import parsed


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1997-03-31", "1997-03-31T23:59:59.999999+00:00"),  # The whole day: that is what "as of a day" means.
        ("9999-12-31", "9999-12-31T23:59:59.999999+00:00"),
        ("1997-03-31T10:00:00Z", "1997-03-31T10:00:00+00:00"),
        ("1997-03-31T10:00+02:00", "1997-03-31T10:00:00+02:00"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert expected == time(text).isoformat()


@pytest.mark.parametrize("text", ["yesterday", "1997-03-31T10:00:00", "1997-02-30"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        time(text)


def test_a_window_starts_before_its_first_day_unless_that_is_the_first_of_all() -> None:
    assert "1997-03-30T23:59:59.999999+00:00" == window_start("1997-03-31").isoformat()
    with pytest.raises(ArgumentTypeError, match="leave it out"):
        window_start("0001-01-01")


def test_known_at_is_a_position_or_a_time() -> None:
    by_position = view_of(Namespace(as_of=None, known_at=known_at("1997")))
    by_time = view_of(Namespace(as_of=time("1997-01-01"), known_at=known_at("1997-03-31T00:00:00Z")))

    assert by_position is not None
    assert ("position", 1997) == (by_position.WhichOneof("known_at"), by_position.position)
    assert by_time is not None
    assert ("record_time", 859766400) == (by_time.WhichOneof("known_at"), by_time.record_time.seconds)
    assert view_of(Namespace(as_of=None, known_at=None)) is None


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["log"],
        ["import", "file"],
        ["relationship", "get", "acme"],
        ["log", "read", "--after", "-1"],
        ["log", "read", "--aft", "1"],
        ["log", "head", "--target", "a:1,"],
        ["relationship", "get", "acme", "c-1", "--as-of", "soon"],
        ["log", "head", "--timeout", "0"],
    ],
)
def test_what_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert exits.USAGE == ended.value.code


whole = cache(parser)


def helps(root: Parser) -> dict[str, str]:
    """Return the help of every noun, in order."""
    (nouns,) = (each.choices for each in root._actions if isinstance(each.choices, dict))
    return {noun: below.format_help() for noun, below in nouns.items()}


def test_every_noun_of_the_command_line_is_known_by_its_name() -> None:
    assert [*NOUNS] == [*helps(whole())]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_takes_alone_what_it_takes_among_all(noun: str) -> None:
    assert helps(whole())[noun] == helps(parser([noun]))[noun]


def test_a_line_of_no_noun_is_told_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dance"])

    told = capsys.readouterr().err
    assert [] == [noun for noun in NOUNS if f"'{noun}'" not in told]


def test_the_target_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "127.0.0.1:50051" == parser(["log"]).parse_args(["log", "head"]).target
    monkeypatch.setenv("RAPPORT_TARGET", "10.0.0.1:5")
    assert "10.0.0.1:5" == parser(["log"]).parse_args(["log", "head"]).target
    assert "10.0.0.2:5" == parser(["log"]).parse_args(["log", "head", "--target", "10.0.0.2:5"]).target


def test_nobody_at_the_target_ends_with_3_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.UNREACHABLE == main(["log", "head", "--target", "127.0.0.1:1"])

    told = capsys.readouterr()
    assert "" == told.out
    assert "127.0.0.1:1" in told.err
    assert "rapport serve" in told.err


def test_a_mapping_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.USAGE == main(["import", "nothing.txt", "--mapping", "nowhere.toml"])
    assert "nowhere.toml" in capsys.readouterr().err


def test_an_error_names_fields_values_and_what_to_do() -> None:
    error = RequestInvalid(
        "REQUEST_INVALID: fields break their rules",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=reasons.ERROR_REASON_REQUEST_INVALID,
        violations=[Violation("customer_id", "does not match", "")],
        metadata={"limit": "3"},
    )

    told = exits.message(error, "a:1").splitlines()

    assert ["REQUEST_INVALID: fields break their rules", "  customer_id: does not match", "  limit: 3"] == told[:3]
    assert "mend the fields named" == told[3]
    assert exits.REFUSED == exits.exit_code(error)


def test_a_store_that_does_not_work_ends_with_3_as_well() -> None:
    error = Unavailable("gone", code=grpc.StatusCode.UNAVAILABLE, reason=reasons.ERROR_REASON_STORE_UNAVAILABLE)

    assert exits.UNREACHABLE == exits.exit_code(error)
    assert "rapport serve" not in exits.message(error, "a:1")


def test_advice_is_only_for_reasons_that_exist() -> None:
    assert set(exits._ADVICE) <= set(reasons.ErrorReason.values())


def test_json_is_one_message_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(GetHeadResponse(position=7, log_id="x"))

    assert '{"position": "7", "logId": "x"}\n' == capsys.readouterr().out


def test_rows_are_parted_by_tabs_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows("A", "B")
    rows.add("x\ty", 1)
    rows.end()

    assert "A\tB\nx y\t1\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        "policy persona approve acme regulars 1 --approver u-1 --function",
        "customer type assess acme c-1 hbr:buddies --assessor ben --function",
    ],
)
@pytest.mark.parametrize("name", ["service", "SERVICE"])
def test_a_function_is_named_alike_wherever_it_is_asked_for(command: str, name: str) -> None:
    assert "service" == parsed(*command.split(), name).function


def test_an_answer_that_does_not_come_in_time_says_what_to_do() -> None:
    late = DeadlineExceeded("Stream removed (Deadline Exceeded)", code=grpc.StatusCode.DEADLINE_EXCEEDED)

    told = exits.message(late, "ledger:50051")

    assert told.startswith("no answer from ledger:50051 in time")
    assert "--timeout" in told


def test_an_id_cannot_make_a_terminal_do_anything(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows("A")
    rows.add("red\x1b[31m")
    print_pairs([("id", "\u202eback\x9b2J")])
    warn("lines\nstay\x07")

    told = capsys.readouterr()

    assert "A\nred\ufffd[31m\nid  \ufffdback\ufffd2J\n" == told.out
    assert "rapport: lines\nstay\ufffd\n" == told.err


@pytest.mark.parametrize("options", ["--order units", "--asset EUR/2", "--order last --asset EUR/2"])
def test_an_order_by_units_and_its_asset_are_given_together(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.USAGE == main(f"relationship list acme {options}".split())
    assert "--order units" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fact, expected",
    [
        (
            interaction_pb2.InteractionRecorded(
                kind=interaction_pb2.INTERACTION_KIND_PURCHASE,
                direction=interaction_pb2.DIRECTION_INBOUND,
                channel=interaction_pb2.CHANNEL_WEB,
                order_id="o-1",
            ),
            "PURCHASE INBOUND WEB o-1",
        ),
        (interaction_pb2.InteractionRetracted(original_position=4, reason="twice"), "retracts 4 twice"),
        (
            exchange_pb2.ExchangeRecorded(
                exchange_id="e-1",
                one_sided=exchange_pb2.ONE_SIDED_GIFT,
                legs=[exchange_pb2.Leg(giver=exchange_pb2.PARTY_ORGANIZATION, amount=Amount(units=2, asset="CD/0"))],
            ),
            "we gave 2 CD GIFT e-1",
        ),
        (consent_pb2.ConsentWithdrawn(), "every purpose"),
        (
            consent_pb2.ConsentGiven(purposes=["news"], channels=[interaction_pb2.CHANNEL_EMAIL], brands=["b"]),
            "news by EMAIL b",
        ),
    ],
)
def test_facts_in_a_few_words(fact: interaction_pb2.InteractionRecorded, expected: str) -> None:
    assert expected == summary(fact)


def test_what_a_party_gave_is_posted_less_reversed_over_all_categories() -> None:
    customer, organization = exchange_pb2.PARTY_CUSTOMER, exchange_pb2.PARTY_ORGANIZATION
    quantities = [
        Quantity(giver=customer, asset="USD/2", posted=1000, reversed=250),
        Quantity(giver=customer, asset="USD/2", posted=50),
        Quantity(giver=customer, asset="MIN/0", posted=3),
        Quantity(giver=organization, asset="CD/0", posted=1),
    ]

    assert "3 MIN, 8.00 USD" == gave(quantities, customer)


@pytest.mark.parametrize(
    "command",
    [
        "consent give acme c-1 --purpose a --uses {}",
        "consent give acme c-1 --purpose a --days {}",
        "consent receipt acme c-1 {}",
        "contact explain acme c-1 {}",
        "customer promise make acme c-1 p --within {}",
        "preference declare frequency acme c-1 --per day --at-most {}",
        "policy contact show acme --version {}",
    ],
)
@pytest.mark.parametrize("number", ["99999999999999999999", "9" * 5000, "-1", "1.5"])
def test_a_number_that_no_field_takes_is_a_wrong_argument(
    command: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*command.format(number).split())

    assert exits.USAGE == ended.value.code
    assert "whole number" in capsys.readouterr().err or number.startswith("-")
