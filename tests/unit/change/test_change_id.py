from ledger.change.change_id import change_id, event_cause, name_of, timer_cause
from rapport.change.v1 import change_pb2 as pb
from tests.contact_histories import moment


def test_the_id_is_that_of_the_design() -> None:
    cause = timer_cause(moment("2026-04-11T10:00Z"))

    found = change_id("acme", "c-1", pb.CHANGE_KIND_LAPSED, "lifecycle", cause, "relationship/1")

    assert cause == "timer:2026-04-11T10:00:00.000000Z"
    assert found == "bcd1a2072f73b0dcf22806a828b36896"


def test_fields_do_not_run_into_each_other() -> None:
    one = change_id("acme", "c-1", pb.CHANGE_KIND_LAPSED, "ab", "c", "relationship/1")
    other = change_id("acme", "c-1", pb.CHANGE_KIND_LAPSED, "a", "bc", "relationship/1")

    assert one != other


def test_every_kind_has_a_name_as_cloudevents_have_it() -> None:
    names = [name_of(kind) for kind in pb.ChangeKind.values() if kind]

    assert len(names) == 36
    assert {"formed", "at_risk", "reciprocity_imbalance_entered", "policy_reevaluated"} <= set(names)


def test_an_event_is_named_by_log_and_position() -> None:
    assert event_cause("some-log", 12) == "event:some-log/12"
