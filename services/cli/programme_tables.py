"""Reports on an organization for people: shares in percent, with their intervals; what is not known says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rapport.events.v1.interaction_pb2 import OurFunction
from rapport.relationship.v1 import measures_pb2 as why
from services.cli.output import Rows, amount_cell, enum_cell, print_pairs, time_cell
from services.client import nanos_text

if TYPE_CHECKING:
    from rapport.relationship.v1.measures_pb2 import Measure
    from rapport.report.v1 import report_service_pb2 as messages
    from rapport.type.v1.as_of_pb2 import AsOf

_REASONS: Final = {
    why.UNKNOWN_REASON_NO_EVIDENCE: "nothing on record",
    why.UNKNOWN_REASON_TOO_FEW: "too few",
    why.UNKNOWN_REASON_NOTHING_MATURED: "too early",
}


def percent(ppm: int) -> str:
    """Return millionths as percent with two decimals, half to even. Example: 48,071 is `4.81 %`."""
    whole, rest = divmod(abs(ppm), 100)
    whole += rest > 50 or (rest == 50 and whole % 2 == 1)  # Half of a hundredth of a percent.
    return f"{'-' if ppm < 0 else ''}{whole // 100}.{whole % 100:02d} %"


def share(measure: Measure) -> str:
    """Return a measure as percent, or why it is not known."""
    if measure.WhichOneof("value") == "ppm":
        return percent(measure.ppm)
    return _REASONS.get(measure.unknown, enum_cell(why.UnknownReason.DESCRIPTOR, measure.unknown))


def rate(measure: Measure) -> str:
    """Return a count in millionths with two decimals, or why it is not known. Example: `1.25`."""
    text = share(measure)
    if measure.WhichOneof("value") != "ppm":
        return text
    hundredths, rest = divmod(measure.ppm, 10_000)
    hundredths += rest > 5_000 or (rest == 5_000 and hundredths % 2 == 1)  # Half of a hundredth.
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _show_view(as_of: AsOf) -> None:
    print_pairs([("as of", time_cell(as_of.occur_time)), ("position", as_of.position)])
    print()


def _show_returns(answer: messages.GetReturnRateResponse) -> None:
    _show_view(answer.as_of)
    rows = Rows("PROGRAMME", "MONTH", "MEMBERS", "CAME BACK", "RATE", "95 % INTERVAL", "TOO YOUNG", "ALARM")
    for each in answer.cohorts:
        interval = f"{percent(each.low_ppm)} to {percent(each.high_ppm)}" if each.HasField("low_ppm") else ""
        rows.add(
            each.programme, each.month or "all", each.member_count, each.returned_count, share(each.rate), interval,
            each.censored_count, "ALARM" if each.alarm else "",
        )  # fmt: skip
    rows.end()


def _show_solicitations(answer: messages.GetSolicitationReportResponse) -> None:
    _show_view(answer.as_of)
    rows = Rows(
        "KEY", "DELIVERED", "MATURED", "BOUGHT", "REPLIED", "OPTED OUT", "NOTHING", "RESPONSE", "WASTE",
        "SECONDS WASTED", "COST WASTED", "WITHOUT COST", "RELEVANT", "FOLLOWED",
    )  # fmt: skip
    for each in answer.groups:
        costs = ", ".join(amount_cell(cost.units, cost.asset) for cost in each.wasted_costs)
        rows.add(
            each.key or "-", each.delivered_count, each.matured_count, each.bought_count, each.replied_count,
            each.opted_out_count, each.no_response_count, share(each.response), share(each.waste), each.wasted_seconds,
            costs, each.uncosted_count, share(each.relevance), each.followed_count,
        )  # fmt: skip
    rows.end()


def _show_visits(answer: messages.GetVisitReportResponse) -> None:
    _show_view(answer.as_of)
    rows = Rows("CAME", "CUSTOMERS", "SHARE")
    for each in answer.distribution:
        rows.add(
            f"{each.count}{' or more' if each.or_more else ''}",
            each.customer_count,
            _part(each.customer_count, answer.customer_count),
        )
    rows.end()
    print()
    rows = Rows("CAME BACK WITHIN", "CUSTOMERS", "SHARE")
    for within in answer.returned:
        rows.add(f"{within.days} d", within.customer_count, _part(within.customer_count, answer.customer_count))
    rows.end()


def _part(part: int, whole: int) -> str:
    return percent(1_000_000 * part // whole) if whole else ""


def _show_pressure(answer: messages.GetPressureReportResponse) -> None:
    _show_view(answer.as_of)
    rows = Rows("WHO", "RELATIONSHIPS", "SOLICITATIONS", "EACH IN 30 DAYS")
    for who, each in (("prospects", answer.prospects), ("customers", answer.customers)):
        rows.add(who, each.relationship_count, each.solicitation_count, rate(each.per_30_days))
    rows.end()


def _show_maturity(answer: messages.GetMaturityReportResponse) -> None:
    _show_view(answer.as_of)
    print_pairs(
        [
            ("contacts", answer.contact_count),
            ("decided", share(answer.decided)),
            ("honoured", share(answer.honoured)),
            ("answered", share(answer.answered)),
            ("diamond", share(answer.diamond)),
        ]
    )


def _show_consistency(found: Iterable[messages.Inconsistency]) -> None:
    rows = Rows("CUSTOMER", "FUNCTION", "TYPE", "POSITION")
    for each in found:
        for judged in each.judgements:
            function = enum_cell(OurFunction.DESCRIPTOR, judged.our_function)
            rows.add(each.customer_id, function, judged.slug, judged.position)
    rows.end()


def _show_standing(answer: messages.GetStandingReportResponse) -> None:
    _show_view(answer.as_of)
    print_pairs([("relationships", answer.relationship_count), ("existing", answer.existing_count)])
    for name, levels in (("LIFECYCLE", answer.lifecycles), ("SHAPE", answer.shapes)):
        print()
        rows = Rows(name, "RELATIONSHIPS")
        for each in levels:
            rows.add(each.level, each.relationship_count)
        rows.end()
    print()
    rows = Rows("BAND", "RELATIONSHIPS", "WE GOT LESS WHAT WE GAVE")
    for each in answer.bands:
        rows.add(each.level, each.relationship_count, nanos_text(each.organization_net_nanos))
    rows.end()


SHOW: Final[Mapping[str, Callable[[Any], None]]] = {
    "returns": _show_returns,
    "solicitations": _show_solicitations,
    "visits": _show_visits,
    "pressure": _show_pressure,
    "maturity": _show_maturity,
    "consistency": _show_consistency,
    "standing": _show_standing,
}
"""What prints a report, by its name."""
