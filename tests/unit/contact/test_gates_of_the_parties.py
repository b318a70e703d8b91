"""Gate 6: which sender and recipient may take part, and that nothing is passed on after an opt-out (rule 8)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.finding import FAIL, PASS, Finding
from rapport.events.v1 import attribute_pb2
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_gates import T, failed, known, taking_part
from tests.contact_histories import DAY, HOUR, given, objected, recipient, refused, verified, withdrawn


def test_the_organization_alone_needs_no_grant() -> None:
    assert Finding(PASS) == taking_part(known())


def test_a_sender_or_recipient_needs_a_live_grant_for_exactly_this_purpose() -> None:
    history = known()
    history.add(recipient("ads", T + DAY), T - DAY)

    assert Finding(PASS, changes_at=T + DAY) == taking_part(history, sender="ads")
    assert PASS == taking_part(history, recipients=["ads"]).result
    assert failed("SENDER_NOT_GRANTED") == taking_part(history, T + DAY, sender="ads")[:3]
    assert failed("RECIPIENT_NOT_GRANTED") == taking_part(history, T + DAY, recipients=["ads"])[:3]
    assert failed("RECIPIENT_NOT_GRANTED") == taking_part(history, sender="ads", recipients=["ads", "other"])[:3]
    assert failed("SENDER_NOT_GRANTED") == taking_part(history, sender="other", recipients=["third"])[:3]
    assert FAIL == taking_part(history, sender="ads", purpose="marketing").result
    assert FAIL == taking_part(history, sender="ads", purpose="marketing.social").result


def test_a_revoked_or_used_up_grant_is_none() -> None:
    history = known()
    history.add(recipient("ads", T + DAY, max_uses=1), T - DAY)
    history.add(
        attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing.direct"], fields=["contact"]), T - HOUR
    )
    assert FAIL == taking_part(history, sender="ads").result

    history.add(recipient("ads", T + DAY), T - HOUR)
    assert PASS == taking_part(history, sender="ads").result
    history.add(c.RecipientGrantRevoked(recipient="ads"), T)
    assert FAIL == taking_part(history, sender="ads").result


@pytest.mark.parametrize(
    "opt_out",
    [withdrawn(), withdrawn("marketing.social"), refused("marketing"), objected("marketing.direct"), objected()],
)
def test_rule_8_after_an_opt_out_the_address_is_not_passed_on_though_a_grant_is_live(opt_out: Any) -> None:
    history = known()
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    no = history.add(opt_out, T - 4 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", no) == taking_part(history, recipients=["ads"])[:3]
    assert failed("TRANSFER_AFTER_OPT_OUT", no) == taking_part(history, sender="ads")[:3]

    # A consent, or a grant that is not later on both axes, makes no difference.
    history.add(given(), T - 3 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 4 * DAY, recorded=T - 3 * DAY)
    assert FAIL == taking_part(history, sender="ads").result
    history.add(recipient("ads", T + 9 * DAY), T - 2 * DAY)
    assert PASS == taking_part(history, sender="ads").result


def test_a_grant_has_to_be_later_than_every_opt_out_on_both_axes() -> None:
    history = known()
    early = history.add(refused("marketing"), T - 9 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    late = history.add(withdrawn("marketing"), T - 8 * DAY, recorded=T - 4 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", early, late) == taking_part(history, sender="ads")[:3]

    history.add(recipient("ads", T + 9 * DAY), T - 6 * DAY, recorded=T - 3 * DAY)
    assert PASS == taking_part(history, sender="ads").result


def test_an_opt_out_that_somebody_else_made_or_is_of_another_class_channel_point_or_brand_is_none() -> None:
    history = known()
    history.add(verified("p"), T - 9 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    history.add(c.ConsentRevoked(scope=c.ConsentScope()), T - 4 * DAY)
    history.add(withdrawn("community"), T - 4 * DAY)
    history.add(withdrawn(channels=[i.CHANNEL_SMS]), T - 4 * DAY)
    history.add(withdrawn(brands=["rum"]), T - 4 * DAY)
    history.add(withdrawn(contact_point_ids=["q"]), T - 4 * DAY)

    assert PASS == taking_part(history, sender="ads", brand="tea", contact_point_id="p").result
    assert FAIL == taking_part(history, sender="ads", brand="rum", contact_point_id="p").result
    assert FAIL == taking_part(history, sender="ads", contact_point_id="p").result


def test_an_opt_out_of_a_linked_id_and_a_lifted_objection_count() -> None:
    history = known()
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    raised = history.add(objected("marketing"), T - 4 * DAY)
    history.add(c.ObjectionLifted(raised_position=raised), T - 3 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", raised) == taking_part(history, sender="ads")[:3]

    history.add(recipient("ads", T + 9 * DAY), T - 2 * DAY)
    assert PASS == taking_part(history, sender="ads").result
    history.add(withdrawn("marketing.direct"), T - DAY, customer="b")
    history.link("c", "b", T)
    assert FAIL == taking_part(history, sender="ads").result
