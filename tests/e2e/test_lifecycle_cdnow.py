"""Lifecycles, returns and repeats of the purchase history against figures that were made apart from the product.

The lines of the file are folded in this process: what servers make of the same lines is shown by the tests of imports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import pytest

from ledger.domain.fact import Fact
from ledger.domain.interaction import RECORDED
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from ledger.measure.visits import visits
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.levels_pb2 import Lifecycle
from tests.oracles import lifecycle_script

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(120)]

DAY = 86_400_000_000
EPOCH = date(1970, 1, 1).toordinal()
AUTUMN, END = date(1997, 9, 30), date(1998, 6, 30)
PURCHASE = i.InteractionRecorded(
    kind=i.INTERACTION_KIND_PURCHASE,
    direction=i.DIRECTION_INBOUND,
    initiator=i.INITIATOR_CUSTOMER,
    channel=i.CHANNEL_WEB,
)
"""As examples/cdnow.toml has it."""
IMPORTED = EventMetadata(historical_import=True)


def midnight(day: date) -> int:
    return (day.toordinal() - EPOCH) * DAY


def purchases(lines: Iterable[str]) -> dict[str, list[Fact]]:
    """Return a purchase for each line, by customer; lines hold a customer, and a date before two other fields."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for position, line in enumerate(lines, start=1):
        customer, *_, day, _, _ = line.split()
        time = midnight(date(int(day[:4]), int(day[4:6]), int(day[6:])))
        found[customer].append(Fact(position, 1, time, time, RECORDED, PURCHASE, IMPORTED))
    return found


@pytest.fixture(scope="module")
def bought(master: Path) -> dict[str, list[Fact]]:
    return purchases(master.read_text(encoding="ascii").splitlines()[1:])


def measured(customers: dict[str, list[Fact]], at: int) -> Iterator[tuple[str, Measured]]:
    """Yield each customer as of an instant."""
    outlook = outlook_of(PolicyState(), at)
    for customer, facts in customers.items():
        record = Record(at)
        for fact in facts:
            record.evolve(fact)
        yield customer, Measured(record, outlook, at)


@pytest.mark.parametrize("day", [AUTUMN, END])
def test_every_lifecycle_is_that_of_the_script(bought: dict[str, list[Fact]], master: Path, day: date) -> None:
    told = lifecycle_script.purchase_days(master)

    for customer, m in measured(bought, midnight(day)):
        state = Lifecycle.Name(m.lifecycle.lifecycle).removeprefix("LIFECYCLE_")
        assert lifecycle_script.lifecycle(told[customer], day) == state, customer
    assert {
        AUTUMN: {"ACTIVE": 2_880, "AT_RISK": 2_111, "LAPSED": 18_579},
        END: {"ACTIVE": 3_309, "AT_RISK": 1_487, "LAPSED": 18_774},
    }[day] == lifecycle_script.counts(told.values(), day)


def test_so_many_came_back_within_a_week_a_month_and_a_quarter(bought: dict[str, list[Fact]]) -> None:
    everybody = [
        (visits(m).back_after, visits(m, purchases_only=True).times, m.preference.repeats)
        for _, m in measured(bought, END_OF_TIME)
    ]

    back = [days for days, _, _ in everybody if days is not None]

    assert (23_570, 11_516) == (len(everybody), len(back))
    assert [1_384, 4_115, 6_887] == [sum(days <= within for days in back) for within in (7, 30, 90)]
    # Purchases are counted line by line, and the first of each customer is no repeat.
    assert 69_659 == sum(purchases for _, purchases, _ in everybody)
    assert 69_659 - 23_570 == sum(repeats for _, _, repeats in everybody)


def test_repeats_of_the_sample_are_spread_as_they_were_published(shared_data: Path) -> None:
    sample = (shared_data / "cdnow" / "CDNOW_sample.txt").read_text(encoding="ascii").splitlines()

    repeats = Counter(min(visits(m).times - 1, 7) for _, m in measured(purchases(sample), midnight(AUTUMN)))

    assert [1_411, 439, 214, 100, 62, 38, 29, 64] == [repeats[number] for number in range(8)]
