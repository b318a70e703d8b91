"""`rapport preference declare|clear|show`: how a customer wants to be spoken to."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import consent_pb2, interaction_pb2
from rapport.events.v1 import preference_pb2 as ev
from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared
from services.cli.arguments import (
    Commands,
    Parser,
    add_common,
    add_relationship,
    add_view,
    client_of,
    count,
    instant,
    position,
    view_of,
)
from services.cli.exits import OK, UsageFault
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.words import CHANNELS, PERIODS, SPEAKERS, window, window_text, words_of
from services.cli.writing import add_write, print_recorded, record
from services.client import Client, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rapport.customer.v1.customer_service_pb2 import Preference

KINDS: Final = {word.replace("_", "-"): number for word, number in words_of(ev.PreferenceKind.DESCRIPTOR).items()}
_DESCRIPTION: Final = """\
Records what the customer said, in their own words; a later declaration of the same kind replaces it. Preferences limit,
they never permit: what is wanted still needs a basis."""


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("preference", help="how a customer wants to be spoken to")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    _add_declare(verbs)
    clear = verbs.add_parser("clear", help="record that a declaration no longer holds; harmless where there is none")
    add_write(clear)
    clear.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))
    _add_scope(clear)
    clear.set_defaults(run=run_clear)
    show = verbs.add_parser("show", help="show the declarations that hold")
    add_relationship(show)
    add_view(show)
    add_common(show)
    show.set_defaults(run=run_show)


def _add_declare(verbs: Commands) -> None:
    declare = verbs.add_parser("declare", help="record what the customer said", description=_DESCRIPTION)
    kinds = declare.add_subparsers(metavar="KIND", required=True)
    channels = _add_kind(kinds, "channels", "which ways, and which not", _channels)
    channels.add_argument("--prefer", metavar="NAME", nargs="+", choices=CHANNELS, default=[], help="the best first")
    channels.add_argument("--never", metavar="NAME", nargs="+", choices=CHANNELS, default=[], help="never by these")
    topics = _add_kind(kinds, "topics", "what about, and what not", _topics)
    topics.add_argument("--want", metavar="CODE", nargs="+", default=[], help="asked for")
    topics.add_argument("--never", metavar="CODE", nargs="+", default=[], help="never about these")
    frequency = _add_kind(kinds, "frequency", "how often at most", _frequency)
    frequency.add_argument("--at-most", metavar="N", type=count, required=True, help="contacts in a period")
    frequency.add_argument("--per", choices=PERIODS, required=True, help="calendar period in the customer's time zone")
    _add_scope(frequency)
    quiet = _add_kind(kinds, "quiet-hours", "when not", _quiet_hours)
    quiet.add_argument("window", metavar="SPAN", nargs="*", type=window, help="21:00-08:00, or sat,sun@00:00-12:00")
    pause = _add_kind(kinds, "pause", "not at all for a while", _pause)
    pause.add_argument(
        "--until", metavar="TIME", type=instant, help="first instant at which it is over (default: no end)"
    )
    _add_scope(pause)
    language = _add_kind(kinds, "language", "in which language", _language)
    language.add_argument("language", metavar="TAG", help="such as de-AT")
    hours = _add_kind(kinds, "hours-wanted", "when it suits best; forbids nothing", _hours_wanted)
    hours.add_argument("window", metavar="SPAN", nargs="+", type=window, help="mon-fri@08:00-12:00")
    zone = _add_kind(kinds, "time-zone", "where the customer's clock stands", _time_zone)
    zone.add_argument("time_zone", metavar="ZONE", help="such as Europe/Berlin")


def _add_kind(kinds: Commands, name: str, text: str, fill: Callable[[PreferenceDeclared, Namespace], None]) -> Parser:
    kind: Parser = kinds.add_parser(name, help=text)
    add_write(kind)
    kind.add_argument("--indicated-by", choices=SPEAKERS, metavar="WHO", help="who said so (default: subject)")
    kind.add_argument("--indicated-by-id", metavar="ID", default="", help="which guardian, agent or infomediary")
    kind.add_argument("--told-in", metavar="POSITION", type=position, default=0, help="the interaction it was told in")
    kind.set_defaults(run=run_declare, fill=fill)
    return kind


def _add_scope(parser: Parser) -> None:
    parser.add_argument(
        "--channel", metavar="NAME", choices=CHANNELS, help="by this way only (default: by all together)"
    )
    parser.add_argument("--topic", metavar="CODE", default="", help="about this only (default: about everything)")


async def run_declare(arguments: Namespace) -> int:
    """Record a declaration; print where."""
    declared = PreferenceDeclared(
        indicated_by=SPEAKERS.get(arguments.indicated_by, 0),  # type: ignore[arg-type]  # A number of the enum.
        indicated_by_id=arguments.indicated_by_id,
        interaction_position=arguments.told_in,
    )
    arguments.fill(declared, arguments)
    answer = await record(arguments, Client.declare_preference, declared)
    print_recorded(arguments, answer, ("declared", preference_text(declared)))
    return OK


async def run_clear(arguments: Namespace) -> int:
    """Record that a declaration no longer holds; print where."""
    clearing = PreferenceCleared(
        kind=KINDS[arguments.kind],  # type: ignore[arg-type]  # A number of the enum.
        channel=CHANNELS.get(arguments.channel, 0),  # type: ignore[arg-type]  # The same.
        topic=arguments.topic,
    )
    answer = await record(arguments, Client.clear_preference, clearing)
    print_recorded(arguments, answer)
    return OK


async def run_show(arguments: Namespace) -> int:
    """Print the declarations that hold, and the zones that follow from them and the rest."""
    async with client_of(arguments) as client:
        answer = await client.get_customer(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        for preference in answer.preferences:
            print_json(preference)
        return OK
    print_pairs([("view", view_text(answer.as_of)), ("time zones", ", ".join(answer.time_zones) or "nothing is known")])
    print()
    show_preferences(answer.preferences)
    return OK


def show_preferences(preferences: Iterable[Preference]) -> None:
    """Print declarations as a table."""
    rows = Rows("KIND", "DECLARED", "SINCE", "POSITION", "BY")
    for each in preferences:
        kind = enum_cell(ev.PreferenceKind.DESCRIPTOR, each.kind).lower().replace("_", "-")
        by = each.declared.indicated_by
        speaker = enum_cell(consent_pb2.IndicatedBy.DESCRIPTOR, by) if by else "SUBJECT"
        rows.add(kind, preference_text(each.declared), time_cell(each.declared_time), each.position, speaker)
    rows.end()


def _channels(declared: PreferenceDeclared, arguments: Namespace) -> None:
    _refuse_nothing(arguments.prefer or arguments.never, "--prefer or --never")
    declared.channels.preferred.extend(CHANNELS[name] for name in arguments.prefer)  # type: ignore[misc]  # Numbers of the enum.
    declared.channels.averse.extend(CHANNELS[name] for name in arguments.never)  # type: ignore[misc]  # The same.


def _topics(declared: PreferenceDeclared, arguments: Namespace) -> None:
    _refuse_nothing(arguments.want or arguments.never, "--want or --never")
    declared.topics.wanted.extend(arguments.want)
    declared.topics.excluded.extend(arguments.never)


def _frequency(declared: PreferenceDeclared, arguments: Namespace) -> None:
    frequency = declared.frequency
    frequency.count = arguments.at_most
    frequency.period = PERIODS[arguments.per]  # type: ignore[assignment]  # A number of the enum.
    frequency.channel = CHANNELS.get(arguments.channel, 0)  # type: ignore[assignment]  # The same.
    frequency.topic = arguments.topic


def _quiet_hours(declared: PreferenceDeclared, arguments: Namespace) -> None:
    declared.quiet_hours.SetInParent()  # Without a span: at no hour.
    declared.quiet_hours.windows.extend(arguments.window)


def _pause(declared: PreferenceDeclared, arguments: Namespace) -> None:
    declared.pause.SetInParent()
    if arguments.until is not None:
        declared.pause.until.CopyFrom(timestamp(arguments.until))
    declared.pause.channel = CHANNELS.get(arguments.channel, 0)  # type: ignore[assignment]  # A number of the enum.
    declared.pause.topic = arguments.topic


def _language(declared: PreferenceDeclared, arguments: Namespace) -> None:
    declared.language.language = arguments.language


def _hours_wanted(declared: PreferenceDeclared, arguments: Namespace) -> None:
    declared.hours_wanted.windows.extend(arguments.window)


def _time_zone(declared: PreferenceDeclared, arguments: Namespace) -> None:
    declared.time_zone.time_zone = arguments.time_zone


def _refuse_nothing(said: object, options: str) -> None:
    if not said:
        raise UsageFault(f"nothing is declared; give {options}, or use `rapport preference clear`")


def preference_text(declared: PreferenceDeclared) -> str:
    """Return what was declared, in a few words."""
    match declared.WhichOneof("preference"):
        case "channels":
            return _two(_names(declared.channels.preferred), _names(declared.channels.averse))
        case "topics":
            return _two(", ".join(declared.topics.wanted), ", ".join(declared.topics.excluded))
        case "frequency":
            frequency = declared.frequency
            period = enum_cell(ev.Period.DESCRIPTOR, frequency.period).lower()
            return _narrowed(f"at most {frequency.count} a {period}", frequency.channel, frequency.topic)
        case "quiet_hours":
            return ", ".join(map(window_text, declared.quiet_hours.windows)) or "at no hour"
        case "pause":
            pause = declared.pause
            until = f"until {time_cell(pause.until)}" if pause.HasField("until") else "without end"
            return _narrowed(until, pause.channel, pause.topic)
        case "language":
            return declared.language.language
        case "hours_wanted":
            return ", ".join(map(window_text, declared.hours_wanted.windows))
        case "time_zone":
            return declared.time_zone.time_zone
        case _:
            return ""


def _two(wanted: str, unwanted: str) -> str:
    return "; ".join(filter(None, (wanted, f"never {unwanted}" if unwanted else "")))


def _narrowed(said: str, channel: int, topic: str) -> str:
    by = f"by {_names([channel])}" if channel else ""
    return " ".join(filter(None, (said, by, f"about {topic}" if topic else "")))


def _names(channels: Iterable[int]) -> str:
    return ", ".join(enum_cell(interaction_pb2.Channel.DESCRIPTOR, channel) for channel in channels)
