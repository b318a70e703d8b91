"""A contact decision for people: the answer, what the contact must do, and what each gate found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapport.events.v1 import consent_pb2, interaction_pb2
from rapport.events.v1 import contact_pb2 as ev
from services.cli.decision_reasons import WHAT_TO_DO
from services.cli.exits import DEFERRED, DENIED, OK
from services.cli.output import Rows, enum_cell, print_pairs, time_cell, view_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.contact.v1.decision_pb2 import Decision
    from rapport.events.v1.contact_pb2 import ContactQuestion, GateFinding, Obligation

_EXITS: Final = {
    ev.DECISION_OUTCOME_PERMIT: OK,
    ev.DECISION_OUTCOME_DENY: DENIED,
    ev.DECISION_OUTCOME_DEFER: DEFERRED,
}


def exit_of(decision: Decision) -> int:
    """Return the exit code of a decision: 0 PERMIT, 5 DENY, 6 DEFER; what is not known is no permit."""
    return _EXITS.get(decision.outcome, DENIED)


def show_decision(decision: Decision) -> None:
    """Print a decision."""
    reason = decision.decisive_reason
    print_pairs(
        [
            ("outcome", outcome_cell(decision.outcome)),
            ("reason", f"{reason_cell(reason)}: {WHAT_TO_DO.get(reason, '')}" if reason else ""),
            ("ask again at", time_cell(decision.defer_until)),
            ("decision", decision.decision_id or "none, it is simulated and no permit"),
            ("question", question_text(decision.question)),
            ("decided for", time_cell(decision.decide_time)),
            ("permit expires", time_cell(decision.permit_expires_time)),
            ("next change", time_cell(decision.next_change_time) or "never by the clock alone"),
            ("must", "; ".join(map(_obligation, decision.obligations))),
            ("basis", _basis(decision)),
            ("view", view_text(decision.as_of) if decision.HasField("as_of") else ""),
            ("rules", _rules(decision)),
            ("read", ", ".join(f"{each.stream_id} {each.version}" for each in decision.read_set)),
        ]
    )
    print()
    show_trace(decision.trace)


def show_trace(trace: Iterable[GateFinding]) -> None:
    """Print what each gate found, with what to do about it."""
    rows = Rows("GATE", "RESULT", "REASON", "EVIDENCE", "UNTIL", "POLICY FIELD", "WHAT TO DO")
    for each in trace:
        rows.add(
            f"{each.gate} {enum_cell(ev.Gate.DESCRIPTOR, each.gate)}",
            enum_cell(ev.GateResult.DESCRIPTOR, each.result),
            " ".join(filter(None, (reason_cell(each.reason), own_reason(each)))),
            ", ".join(map(str, each.evidence_positions)),
            time_cell(each.until),
            each.policy_field,
            _advice(each),
        )
    rows.end()


def outcome_cell(outcome: int) -> str:
    """Return an outcome."""
    return enum_cell(ev.DecisionOutcome.DESCRIPTOR, outcome)


def reason_cell(reason: int) -> str:
    """Return a reason; nothing where there is none."""
    return enum_cell(ev.DecisionReason.DESCRIPTOR, reason) if reason else ""


def own_reason(finding: GateFinding) -> str:
    """Return a gate's own reason where the search for a window ended at it. Example: `(CONSENT_EXPIRED)`."""
    return f"({reason_cell(finding.own_reason)})" if finding.own_reason else ""


def question_text(question: ContactQuestion) -> str:
    """Return a question in a few words. Example: `MARKETING by EMAIL for marketing.direct about books`."""
    parts = (
        (enum_cell(interaction_pb2.MessageClass.DESCRIPTOR, question.message_class), ""),
        ("by", enum_cell(interaction_pb2.Channel.DESCRIPTOR, question.channel)),
        ("to", question.contact_point_id),
        ("for", question.purpose),
        ("about", question.topic),
        ("under", question.brand),
        ("from", question.sender),
        ("with", ", ".join(question.recipients)),
        ("on", enum_cell(consent_pb2.LegalBasis.DESCRIPTOR, question.legal_basis) if question.legal_basis else ""),
    )
    (message_class, _), *rest = parts
    return " ".join([message_class, *(f"{word} {said}" for word, said in rest if said)])


def _basis(decision: Decision) -> str:
    if not decision.legal_basis:
        return ""
    facts = ", ".join(map(str, decision.basis_positions))
    basis = enum_cell(consent_pb2.LegalBasis.DESCRIPTOR, decision.legal_basis)
    return f"{basis}, by what is recorded at {facts}" if facts else basis


def _rules(decision: Decision) -> str:
    def version(number: int) -> str:
        return str(number) if number else "built in"

    valued = f", valued by {decision.valuation_policy_id}" if decision.valuation_policy_id else ""
    return (
        f"contact policy {version(decision.contact_policy_version)}, purposes {version(decision.purposes_version)}"
        f"{valued}, time zones {decision.tzdata_version}, model {decision.model_version}"
    )


def _advice(finding: GateFinding) -> str:
    zones = f" [{', '.join(finding.time_zones)}]" if finding.time_zones else ""
    reason = finding.own_reason or finding.reason
    return f"{WHAT_TO_DO.get(reason, '')}{zones}".strip()


def _obligation(obligation: Obligation) -> str:
    kind = enum_cell(ev.ObligationKind.DESCRIPTOR, obligation.kind).lower().replace("_", " ")
    channel = enum_cell(interaction_pb2.Channel.DESCRIPTOR, obligation.channel) if obligation.channel else ""
    return " ".join(filter(None, (kind, obligation.language, channel, time_cell(obligation.before))))
