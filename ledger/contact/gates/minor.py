"""Gate 3: may they decide alone? (consent.md 4, rule 7; settled.md 67).

The age itself is never known, only from when on the customer is of age under a law. Where nobody says, that is told
only under a policy that knows an age: of what no law was looked up, nothing is asked.
"""

from ledger.contact.finding import ADVISE, FAIL, PASS, PASSED, Finding, earliest
from ledger.contact.picture import Picture
from ledger.contact.terms import adult_from, jurisdiction_of
from ledger.domain.jurisdictions import under
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """FAIL for a minor without a live guardian; where the age is unknown ADVISE, or FAIL if the policy says so."""
    jurisdiction = jurisdiction_of(picture)
    adult = adult_from(picture, jurisdiction)
    if adult is None:
        return _unknown(picture, jurisdiction)
    if at >= adult:
        return PASSED
    guardians = picture.state.guardians
    live = guardians.live(at, question.purpose)
    changes_at = earliest(adult, guardians.changes_after(at))
    if live:
        return Finding(PASS, changes_at=changes_at)
    evidence = (picture.state.profile.position,)
    return Finding(FAIL, contact_pb2.DECISION_REASON_MINOR_WITHOUT_GUARDIAN, evidence, changes_at=changes_at)


def _unknown(picture: Picture, jurisdiction: str) -> Finding:
    policy = picture.policy
    if policy.age_unknown_denies:
        return Finding(FAIL, contact_pb2.DECISION_REASON_AGE_UNKNOWN, policy_field="age_unknown_denies")
    for index, rules in enumerate(policy.jurisdictions):
        # Where nobody knows whose law applies, it may be this one.
        if rules.minor_age and (not jurisdiction or under((rules.jurisdiction,), jurisdiction)):
            field = f"jurisdictions[{index}].minor_age"
            return Finding(ADVISE, contact_pb2.DECISION_REASON_AGE_UNKNOWN, policy_field=field)
    return PASSED
