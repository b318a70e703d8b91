"""How the command ends: exit codes, and one clear message on standard error.

0    done
1    the server refused
2    the command was not understood, or a file of the caller's cannot be used
3    no answer: nobody at the target, the service is stopping, or its store does not work
4    an import that went through, with lines that were rejected
5    a contact decision that is DENY
6    a contact decision that is DEFER
7    a receipt that is altered or unknown
130  interrupted
"""

from __future__ import annotations

import re
from typing import Final

from rapport.errors.v1 import error_reason_pb2 as reasons
from services.client import DeadlineExceeded, RapportError, Unavailable

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
DONE_WITH_REJECTS: Final = 4
DENIED: Final = 5
DEFERRED: Final = 6
NOT_VALID: Final = 7
INTERRUPTED: Final = 130


class UsageFault(Exception):
    """What the caller gave cannot be used; the message says what to do."""


_ADVICE: Final = {
    reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE: "correct the time, or the clock it came from",
    reasons.ERROR_REASON_REQUEST_INVALID: "mend the fields named",
    reasons.ERROR_REASON_STORE_UNAVAILABLE: "try again later; the operator finds the cause in the server's log",
    reasons.ERROR_REASON_SHUTTING_DOWN: "try again in a moment",
    reasons.ERROR_REASON_TOO_MANY_CALLS: "try again in a moment",
    reasons.ERROR_REASON_TOO_MANY_STREAMS: "close other readers, or try again in a moment",
    reasons.ERROR_REASON_METHOD_UNKNOWN: "check --target and the server's version",
    reasons.ERROR_REASON_DEADLINE_TOO_SHORT: "allow more time with --timeout",
    reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN: "check both ids, and the point of view",
    reasons.ERROR_REASON_ASSET_UNKNOWN: "register it with `rapport asset register`, or correct code and scale",
    reasons.ERROR_REASON_ASSET_CODE_TAKEN: "use the registered kind; limits only rise",
    reasons.ERROR_REASON_KNOWN_AT_NOT_SETTLED: "ask for an earlier time, or give a position",
    reasons.ERROR_REASON_KNOWN_AT_IN_FUTURE: "ask for a position up to the head, see `rapport log head`",
    reasons.ERROR_REASON_KNOWN_AT_INSIDE_BATCH: "ask for the batch's last position",
    reasons.ERROR_REASON_POSITION_BEYOND_HEAD: "find out which log this is: it went backwards, or it is another one",
    reasons.ERROR_REASON_CHANGE_IN_FUTURE: "see `rapport changes status` for the last number, and which log this is",
    reasons.ERROR_REASON_CHANGES_BEGUN_ANEW: "start over with --after 0; a change_id that you know is the same change",
    reasons.ERROR_REASON_PROJECTION_BEHIND: "try again, or allow more time with --timeout",
    reasons.ERROR_REASON_LOG_DAMAGED: "stop writing and restore; see the operating guide",
    reasons.ERROR_REASON_PROJECTION_UNKNOWN: "use one of the names of `rapport projection list`",
    reasons.ERROR_REASON_PROJECTION_REBUILDING: "wait for the rebuild that is running",
    reasons.ERROR_REASON_REBUILD_DIFFERS: "keep both and report the defect; --replace-different swaps all the same",
    reasons.ERROR_REASON_RATE_OUT_OF_RANGE: "lower the rate or the limit",
    reasons.ERROR_REASON_POLICY_VERSION_TAKEN: "choose a version after the latest, or leave it out",
    reasons.ERROR_REASON_POLICY_UNIT_CHANGED: "publish under another policy_id",
    reasons.ERROR_REASON_POLICY_UNKNOWN: "see `rapport policy valuation list`, or that of its kind, or publish it",
    reasons.ERROR_REASON_WINDOW_INVALID: "let --from lie before --to, and --to not after --as-of",
    reasons.ERROR_REASON_HALF_LIFE_INVALID: "choose 1 to 3650 days, or leave --half-life out",
    reasons.ERROR_REASON_VIEW_TOKEN_INVALID: "give the token whole, with the relationship that it was told for",
    reasons.ERROR_REASON_VIEW_MODEL_UNSUPPORTED: "ask a server of a release that knows this token's arithmetic",
    reasons.ERROR_REASON_VIEWS_NOT_COMPARABLE: "compare views of one --perspective, by policies of one unit of account",
    reasons.ERROR_REASON_VIEW_DIGEST_MISMATCH: "stop: the log gives another balance than before; verify it, and report",
    reasons.ERROR_REASON_EXPLANATION_MISMATCH: "report the defect; nothing of the explanation can be relied on",
    reasons.ERROR_REASON_VALUE_OUT_OF_RANGE: "check the amounts; the balance of a narrower window may fit",
    reasons.ERROR_REASON_CONFIRMATION_NOT_POSSIBLE: "ask the customer again",
    reasons.ERROR_REASON_CONSENT_UNKNOWN: "see `rapport consent history` for the positions of acts",
    reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE: "ask the customer again; what they say now counts from now on",
    reasons.ERROR_REASON_OBJECTION_UNKNOWN: "see `rapport consent history`",
    reasons.ERROR_REASON_WITHDRAWAL_UNKNOWN: "see `rapport consent history`",
    reasons.ERROR_REASON_SUPPRESSION_UNKNOWN: "see `rapport suppression show`",
    reasons.ERROR_REASON_DECISION_UNKNOWN: "name the decision that `rapport contact decide` answered",
    reasons.ERROR_REASON_PERMIT_NOT_OPEN: "nothing is left to give back; see `rapport contact explain`",
    reasons.ERROR_REASON_DECISION_MODEL_UNSUPPORTED: "ask a server of a release that knows these rules",
    reasons.ERROR_REASON_ATTRIBUTE_UNKNOWN: "correct it, or publish it with `rapport policy attributes publish`",
    reasons.ERROR_REASON_PROMISE_UNKNOWN: "see `rapport customer promise show`",
    reasons.ERROR_REASON_PROMISE_ID_TAKEN: "choose a new id; the first promise stands",
    reasons.ERROR_REASON_PROMISE_NOT_OPEN: "see `rapport customer promise show`",
    reasons.ERROR_REASON_COMMON_GROUND_UNKNOWN: "see `rapport timeline` for what is shared, and since when",
    reasons.ERROR_REASON_VECTOR_UNKNOWN: "see `rapport timeline`, or open it with `rapport customer vector open`",
    reasons.ERROR_REASON_VECTOR_ID_TAKEN: "choose a new id, or use `rapport customer vector renew`",
    reasons.ERROR_REASON_VECTOR_NOT_OPEN: "open a new one, or use `rapport customer vector renew`",
    reasons.ERROR_REASON_OBSTACLE_UNKNOWN: "see `rapport timeline` for what was reported and removed",
    reasons.ERROR_REASON_OBSTACLE_ID_TAKEN: "choose a new id; the first report stands",
    reasons.ERROR_REASON_VALUE_QUESTION_UNKNOWN: "give the position of the question, or leave --asked-at out",
    reasons.ERROR_REASON_POINT_OF_CONTACT_UNKNOWN: "see `rapport timeline` for who takes part",
    reasons.ERROR_REASON_SCALE_INVALID: "let --from lie below --to, and the score on the scale",
    reasons.ERROR_REASON_LINK_UNKNOWN: "see `rapport customer show` for the links that hold",
    reasons.ERROR_REASON_LINK_ID_TAKEN: "choose a new --link-id",
    reasons.ERROR_REASON_LINK_NOT_ALLOWED: "have a person look at both",
    reasons.ERROR_REASON_IDENTIFIER_UNKNOWN: "see `rapport customer show` for the contact points",
    reasons.ERROR_REASON_IDENTIFIERS_TOO_MANY: "have a person decide, and name them with --actor",
    reasons.ERROR_REASON_NOTICE_UNKNOWN: "name the position at which the notice was served",
    reasons.ERROR_REASON_TYPE_UNKNOWN: "see `rapport relationship types`; `rapport policy types publish` adds one",
    reasons.ERROR_REASON_PERSONA_UNKNOWN: "see `rapport policy persona list`",
    reasons.ERROR_REASON_PERSONA_NOT_ACTIVE: "see `rapport policy persona list`, and `... approve` or `... define`",
    reasons.ERROR_REASON_CONCURRENCY_CONFLICT: "run the command again: nothing was recorded",
    reasons.ERROR_REASON_INTERNAL: "report the correlation id",
}


def exit_code(error: RapportError) -> int:
    """Return the exit code for an error of the client."""
    return UNREACHABLE if isinstance(error, (Unavailable, DeadlineExceeded)) else REFUSED


def message(error: RapportError, target: str) -> str:
    """Return what to tell a person: what happened, the fields at fault, and what to do."""
    if isinstance(error, Unavailable) and error.reason == reasons.ERROR_REASON_UNSPECIFIED:
        return (
            f"no answer from {target} ({error})\n"
            "start a server with `rapport serve`, or name another with --target or RAPPORT_TARGET"
        )
    if isinstance(error, DeadlineExceeded) and error.reason == reasons.ERROR_REASON_UNSPECIFIED:
        return f"no answer from {target} in time ({error})\ngive it more seconds with --timeout"
    lines = [str(error)]
    lines += [f"  {each.field}: {each.description}" for each in error.violations if each.description not in str(error)]
    lines += [f"  {name}: {value}" for name, value in sorted(error.metadata.items()) if not _says(str(error), value)]
    advice = _ADVICE.get(error.reason)
    if advice is not None:
        lines.append(advice)
    return "\n".join(lines)


def _says(text: str, value: str) -> bool:
    """Tell whether a text has a value as a word of its own; the id `a` is in most texts, and said by few."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None
