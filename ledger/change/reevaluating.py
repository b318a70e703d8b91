"""A new policy: levels that it moves are set silently, and at most one change says so (relationship.md 15).

A relationship is measured twice at one instant, under the old policy and the new. What both agree on stays as it is,
and a dwell that is under way goes on, for as long as the new one asks: the policy did not touch what began it. What
differs is set to what the new one says, without dwell, as the customer did nothing.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Final, NamedTuple

from ledger.change import balancing, breaching, contacting, dwell, living, permissions, strengthening
from ledger.change.balancing import below
from ledger.change.conversing import has_left
from ledger.change.detecting import add_up
from ledger.change.existing import legs_missing
from ledger.change.levels import Levels
from ledger.change.look import Draft, Look
from ledger.change.types import ACTUAL, MISMATCH, mismatches
from ledger.measure.measured import Measured
from ledger.measure.reciprocity import exact_index
from ledger.measure.rules import Rules
from ledger.measure.score import score_of
from rapport.change.v1 import change_pb2 as pb

MEASURE: Final = "policy"


class _Level(NamedTuple):
    """A level that a policy may move."""

    name: str
    pending: str
    """Under which measure a dwell may be under way; empty: it has none."""
    plain: Callable[[Levels, Measured], object]
    """What is compared between the two policies, from the same announced levels."""
    move: Callable[[Levels, Measured], None]
    """Sets the level to what the new policy says."""
    word: Callable[[Levels], str]
    """The announced level, as text."""
    dwell: Callable[[Rules], int] | None = None
    """How long a dwell is, in microseconds; None: it has none."""


def reevaluated(look: Look, before: Measured) -> Draft | None:
    """Set the levels of a look, whose measures are under the new policy; return what is announced, if anything is.

    `before`: the same record at the same instant under the old policy.
    """
    levels, rules, moved, lines = look.levels, look.measured.outlook.rules, [], dict(look.levels.lines)
    for level in _LEVELS:
        if level.plain(levels, before) == level.plain(levels, look.measured):
            if level.dwell is not None:
                dwell.reckon(levels, level.pending, level.dwell(rules))
            continue
        known = level.word(levels)
        level.move(levels, look.measured)
        levels.pending.pop(level.pending, None)
        if level.word(levels) != known:
            moved.append((level.name, known, level.word(levels)))
    moved += permissions.moved(look, before)
    breaching.excused(look, before)
    levels.sums_due = look.at  # Windows may be others: what it adds is made anew, though no event came.
    add_up(look)
    if not moved:
        return None
    return Draft(
        pb.CHANGE_KIND_POLICY_REEVALUATED,
        MEASURE,
        " ".join(f"{name}={was}" for name, was, _ in moved),
        " ".join(f"{name}={now}" for name, _, now in moved),
        look.cause,
        deltas=strengthening.deltas(lines, levels.lines),
    )


def _move_existence(levels: Levels, measured: Measured) -> None:
    levels.exists, levels.missing = measured.existence.exists, legs_missing(measured.existence)


def _move_lifecycle(levels: Levels, measured: Measured) -> None:
    levels.lifecycle = measured.lifecycle.lifecycle


def _move_strength(levels: Levels, measured: Measured) -> None:
    score, rules = score_of(measured), measured.outlook.rules
    levels.band = strengthening.band_of(score, levels.band, rules)
    levels.score, levels.lines = score, strengthening.lines_of(measured)


def _move_balance(levels: Levels, measured: Measured) -> None:
    index = exact_index(measured)
    if below(index, measured.outlook.rules):
        levels.imbalanced = True
    elif index is None or index >= measured.outlook.rules.imbalance_clear:
        levels.imbalanced = False


def _move_conversation(levels: Levels, measured: Measured) -> None:
    if measured.conversation.broadcast:
        levels.broadcast = True
    elif has_left(measured.conversation, measured.outlook.rules):
        levels.broadcast = False


def _move_mismatch(levels: Levels, measured: Measured) -> None:
    levels.mismatched = mismatches(measured.types.mismatches)


def _move_type(levels: Levels, measured: Measured) -> None:
    levels.actual = measured.types.actual_slug


def _move_shape(levels: Levels, measured: Measured) -> None:
    levels.shape = measured.contacts.shape


def _strength(levels: Levels, measured: Measured) -> tuple[int, str]:
    """Return the score, and what it is beside what was announced: thresholds alone may make it something else."""
    score = score_of(measured)
    return score, strengthening.direction(score, levels, measured.outlook.rules)


def _has_left(_: Levels, measured: Measured) -> tuple[bool, bool]:
    return measured.conversation.broadcast, has_left(measured.conversation, measured.outlook.rules)


def _balance(_: Levels, measured: Measured) -> tuple[bool, bool]:
    index = exact_index(measured)
    return below(index, measured.outlook.rules), index is None or index >= measured.outlook.rules.imbalance_clear


_LEVELS: Final = (
    _Level(
        "existence", "", lambda _, m: m.existence.missing, _move_existence,
        lambda levels: "EXISTS" if levels.exists else "MISSING",
    ),
    _Level(
        "lifecycle", "", lambda _, m: m.lifecycle.lifecycle, _move_lifecycle,
        lambda levels: living.name(levels.lifecycle),
    ),
    _Level(
        "band", strengthening.MEASURE, _strength, _move_strength,
        lambda levels: strengthening.name(levels.band), attrgetter("strength_dwell"),
    ),
    _Level(
        "reciprocity", balancing.MEASURE, _balance, _move_balance,
        lambda levels: "IMBALANCED" if levels.imbalanced else "BALANCED", attrgetter("imbalance_dwell"),
    ),
    _Level(
        "conversation", "", _has_left, _move_conversation,
        lambda levels: "BROADCAST" if levels.broadcast else "CONVERSATION",
    ),
    _Level(
        "mismatch", MISMATCH, lambda _, m: mismatches(m.types.mismatches), _move_mismatch,
        lambda levels: levels.mismatched or "NONE", attrgetter("mismatch_dwell"),
    ),
    _Level(
        "actual", ACTUAL, lambda _, m: m.types.actual_slug, _move_type,
        lambda levels: levels.actual, attrgetter("type_dwell"),
    ),
    _Level(
        "contact_shape", contacting.MEASURE, lambda _, m: m.contacts.shape, _move_shape,
        lambda levels: contacting.name(levels.shape), attrgetter("shape_dwell"),
    ),
)  # fmt: skip
