"""A request of each rpc about consents, customers, contacts and their policies that breaks no rule of its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as consent
from rapport.consent.v1 import receipt_pb2 as receipt
from rapport.contact.v1 import contact_service_pb2 as contact
from rapport.customer.v1 import customer_service_pb2 as customer
from rapport.customer.v1 import relationship_acts_pb2 as facts
from rapport.events.v1 import attribute_pb2 as a
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import disclosure_pb2, exchange_pb2
from rapport.events.v1 import identity_pb2 as who
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import persona_pb2 as persona
from rapport.events.v1 import preference_pb2 as pref
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeCatalogue
from rapport.policy.v1 import contact_policies_pb2 as policies
from rapport.policy.v1 import relationship_policies_pb2 as measuring
from rapport.relationship.v1 import explaining_pb2 as explaining
from rapport.relationship.v1 import relationship_service_pb2 as relationship
from rapport.report.v1 import report_service_pb2 as reports
from rapport.type.v1 import levels_pb2
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.window_pb2 import Window

ORGANIZATION: dict[str, Any] = {"organization_id": "acme"}
IDS: dict[str, Any] = {"organization_id": "acme", "customer_id": "anna"}
SCOPE = c.ConsentScope(purposes=["marketing"])
NOTICE = c.NoticeReference(notice_id="privacy", version="2", sha256=bytes(32), purposes=["marketing"])
QUESTION = d.ContactQuestion(
    purpose="marketing.direct", channel=i.CHANNEL_EMAIL, message_class=i.MESSAGE_CLASS_MARKETING, topic="garden"
)
ITEM = contact.DecideItem(customer_id="anna", question=QUESTION)
LINK = who.IdentityLinked(link_id="l-1", customer_a_id="anna", customer_b_id="bert", evidence="same-email")
REGISTRY = p.PurposeRegistry(
    purposes=[
        p.Purpose(
            slug="marketing",
            purpose_class=p.PURPOSE_CLASS_MARKETING,
            objectable=p.OBJECTABLE_ABSOLUTE,
            legal_bases=[c.LEGAL_BASIS_CONSENT],
            message_classes=[i.MESSAGE_CLASS_MARKETING],
        )
    ]
)
CONTACT_POLICY = p.ContactPolicy(
    default_time_zones=["Europe/Dublin"], caps=[p.FrequencyCap(count=3, period=pref.PERIOD_WEEK)]
)
CATALOGUE = p.AttributeCatalogue(attributes=[p.AttributeDefinition(key="garden.size", codes=["small"])])
TYPES = TypeCatalogue(types=[RelationshipType(slug="house:regular", title="Regular", source="our own")])
PERSONA = persona.PersonaDefined(
    persona_id="regulars",
    title="Regulars",
    clauses=[persona.PersonaClause(attribute=persona.AttributeClause(key="garden.size", codes=["small"]))],
)
DISCLOSED = a.AttributeDisclosed(
    key="garden.size", code="small", indicated_by=c.INDICATED_BY_SUBJECT, interaction_position=1
)
GRANT = c.RecipientGrantGiven(
    recipient="carrier", purposes=["marketing"], fields=["contact"], until=Timestamp(seconds=4_000_000_000), max_uses=2
)


def key() -> dict[str, Any]:
    return {"request_id": str(uuid4())}


def records(request_class: Any, **content: Any) -> Callable[[], Message]:
    """Return what makes a request that records something about one customer."""
    return lambda: request_class(**IDS, **key(), **content)


CONSENTS: dict[str, Callable[[], Message]] = {
    "ServeNotice": records(acts.ServeNoticeRequest, notice=c.NoticeServed(notice=NOTICE)),
    "RequestConsent": records(acts.RequestConsentRequest, asked=c.ConsentRequested(scope=SCOPE)),
    "DeferConsent": records(acts.DeferConsentRequest, deferral=c.ConsentDeferred(scope=SCOPE)),
    "ConfirmConsent": records(acts.ConfirmConsentRequest, confirmation_token="a token"),
    "RenewConsent": records(
        acts.RenewConsentRequest, renewal=c.ConsentRenewed(consent=c.ConsentGiven(purposes=["newsletter"]))
    ),
    "RevokeConsent": records(consent.RevokeConsentRequest, revocation=c.ConsentRevoked(scope=SCOPE)),
    "InvalidateConsent": records(consent.InvalidateConsentRequest, invalidation=c.ConsentInvalidated(scope=SCOPE)),
    "RaiseObjection": records(acts.RaiseObjectionRequest),
    "LiftObjection": records(acts.LiftObjectionRequest, lift=c.ObjectionLifted(raised_position=5)),
    "HonourWithdrawal": records(
        acts.HonourWithdrawalRequest, honoured=c.WithdrawalHonoured(withdrawal_position=5, system="mailer")
    ),
    "AppointGuardian": records(
        acts.AppointGuardianRequest, guardian=c.GuardianAppointed(guardian_id="g-1", verification_method="papers")
    ),
    "ReleaseGuardian": records(acts.ReleaseGuardianRequest, release=c.GuardianReleased(guardian_id="g-1")),
    "GrantRecipient": records(acts.GrantRecipientRequest, grant=GRANT),
    "RevokeRecipient": records(acts.RevokeRecipientRequest, revocation=c.RecipientGrantRevoked(recipient="carrier")),
    "RecordDisclosure": records(
        acts.RecordDisclosureRequest,
        disclosure=a.DisclosureRecorded(recipient="carrier", purposes=["marketing"], fields=["contact"]),
    ),
    "RecordInboundText": records(consent.RecordInboundTextRequest, channel=i.CHANNEL_SMS, text="STOP"),
    "GetConsentHistory": lambda: acts.GetConsentHistoryRequest(**IDS),
    "IssueReceipt": lambda: receipt.IssueReceiptRequest(**IDS, consent_position=1),
    "VerifyReceipt": lambda: receipt.VerifyReceiptRequest(receipt=b"{}"),
}

CONTACTS: dict[str, Callable[[], Message]] = {
    "Decide": records(contact.DecideRequest, question=QUESTION),
    "BatchDecide": lambda: contact.BatchDecideRequest(**ORGANIZATION, **key(), items=[ITEM]),
    "SimulateDecision": lambda: contact.SimulateDecisionRequest(
        **IDS,
        question=QUESTION,
        contact_policy=CONTACT_POLICY,
        added=[contact.HypotheticalFact(consent_given=c.ConsentGiven(purposes=["marketing.direct"]))],
    ),
    "BatchSimulateDecisions": lambda: contact.BatchSimulateDecisionsRequest(**ORGANIZATION, items=[ITEM]),
    "ExplainDecision": lambda: contact.ExplainDecisionRequest(**IDS, decision_id=1),
    "AbortContact": records(contact.AbortContactRequest, abort=d.ContactAborted(decision_id=5)),
    "SimulatePolicy": lambda: contact.SimulatePolicyRequest(**ORGANIZATION, contact_policy=CONTACT_POLICY),
    "FindAudience": lambda: contact.FindAudienceRequest(**ORGANIZATION, question=QUESTION),
    "GetContactReport": lambda: contact.GetContactReportRequest(**IDS, window=Window()),
    "AddSuppression": records(
        contact.AddSuppressionRequest, suppression=c.SuppressionAdded(reason=c.SUPPRESSION_REASON_LEGAL)
    ),
    "LiftSuppression": records(
        contact.LiftSuppressionRequest, lift=c.SuppressionLifted(added_position=5, reason="mistake")
    ),
    "ImportSuppressions": lambda: contact.ImportSuppressionsRequest(
        **ORGANIZATION,
        **key(),
        list_name="do-not-call",
        list_version="2026-03",
        entries=[contact.SuppressionEntry(customer_id="anna")],
    ),
    "GetSuppressions": lambda: contact.GetSuppressionsRequest(**IDS),
}

CUSTOMERS: dict[str, Callable[[], Message]] = {
    "DeclareProfile": records(
        customer.DeclareProfileRequest,
        profile=who.ProfileDeclared(
            jurisdiction="IE", adult_from=[who.AdultFrom(jurisdiction="IE", date="2020-02-29")]
        ),
    ),
    "VerifyIdentifier": records(
        customer.VerifyIdentifierRequest,
        identifier=who.IdentifierVerified(contact_point_id="cp-1", kind="email", time_zones=["Europe/Dublin"]),
    ),
    "RevokeIdentifier": records(
        customer.RevokeIdentifierRequest, revocation=who.IdentifierRevoked(contact_point_id="cp-1")
    ),
    "LinkCustomers": lambda: customer.LinkCustomersRequest(**ORGANIZATION, **key(), link=LINK),
    "UnlinkCustomers": lambda: customer.UnlinkCustomersRequest(
        **ORGANIZATION,
        **key(),
        customer_a_id="anna",
        customer_b_id="bert",
        unlink=who.IdentityUnlinked(link_id="l-1", reason="wrong"),
    ),
    "DeclarePreference": records(
        customer.DeclarePreferenceRequest,
        preference=pref.PreferenceDeclared(
            quiet_hours=pref.QuietHours(windows=[pref.LocalWindow(start_minute=1260, end_minute=480)])
        ),
    ),
    "ClearPreference": records(
        customer.ClearPreferenceRequest, clearing=pref.PreferenceCleared(kind=pref.PREFERENCE_KIND_TOPICS)
    ),
    "RequestAttribute": records(
        customer.RequestAttributeRequest,
        asked=a.AttributeRequested(key="garden.size", purposes=["marketing"], reason="advice"),
    ),
    "DiscloseAttribute": records(customer.DiscloseAttributeRequest, attribute=DISCLOSED),
    "ObserveAttribute": records(
        customer.ObserveAttributeRequest, attribute=a.AttributeObserved(key="garden.size", code="small")
    ),
    "InferAttribute": records(
        customer.InferAttributeRequest, attribute=a.AttributeInferred(key="garden.size", code="small", rule="mower")
    ),
    "ObtainAttribute": records(
        customer.ObtainAttributeRequest,
        attribute=a.AttributeObtained(
            key="garden.size", code="small", provenance=disclosure_pb2.PROVENANCE_IMPORTED, source="crm"
        ),
    ),
    "WithdrawAttribute": records(
        customer.WithdrawAttributeRequest,
        withdrawal=a.AttributeWithdrawn(key="garden.size", provenance=disclosure_pb2.PROVENANCE_DECLARED),
    ),
    "MakePromise": records(
        customer.MakePromiseRequest,
        promise=who.PromiseMade(promise_id="p-1", kind=who.PROMISE_KIND_NOTIFY_ME, topic="garden"),
    ),
    "TriggerPromise": records(customer.TriggerPromiseRequest, trigger=who.PromiseTriggered(promise_id="p-1")),
    "KeepPromise": records(customer.KeepPromiseRequest, kept=who.PromiseKept(promise_id="p-1")),
    "CancelPromise": records(
        customer.CancelPromiseRequest,
        cancellation=who.PromiseCancelled(promise_id="p-1", reason=who.PROMISE_CANCEL_REASON_IMPOSSIBLE),
    ),
    "GetCustomer": lambda: customer.GetCustomerRequest(**IDS),
    "GetAttributes": lambda: customer.GetAttributesRequest(**IDS, keys=["garden.size"]),
    "GetPromises": lambda: customer.GetPromisesRequest(**IDS),
}

RELATIONSHIP_ACTS: dict[str, Callable[[], Message]] = {
    "DeclareCommonGround": records(
        facts.DeclareCommonGroundRequest,
        ground=r.CommonGroundDeclared(
            item_id="g-1", ground="gardens", provenance=disclosure_pb2.PROVENANCE_DECLARED, text="we both grow tulips"
        ),
    ),
    "EndCommonGround": records(facts.EndCommonGroundRequest, ending=r.CommonGroundEnded(item_id="g-1")),
    "DeclareRelationshipType": records(
        facts.DeclareRelationshipTypeRequest, wish=r.RelationshipTypeDeclared(slug="hbr:basic-exchange")
    ),
    "AssessRelationshipType": records(
        facts.AssessRelationshipTypeRequest,
        assessment=r.RelationshipTypeAssessed(
            slug="hbr:buddies", assessor_id="ben", until=Timestamp(seconds=4_000_000_000)
        ),
    ),
    "RecordAssessment": records(
        facts.RecordAssessmentRequest,
        assessment=r.AssessmentRecorded(instrument="survey.2026", dimension="trust", score=4, scale_max=5),
    ),
    "OpenVector": records(
        facts.OpenVectorRequest, vector=r.VectorOpened(vector_id="v-1", goal="garden.laid.out", next_reason="bulbs")
    ),
    "RenewVector": records(facts.RenewVectorRequest, renewal=r.VectorRenewed(vector_id="v-1", next_reason="hedges")),
    "FulfilVector": records(facts.FulfilVectorRequest, fulfilment=r.VectorFulfilled(vector_id="v-1")),
    "ReportObstacle": records(
        facts.ReportObstacleRequest, obstacle=r.ObstacleReported(obstacle_id="o-1", obstacle="no.parking")
    ),
    "RemoveObstacle": records(facts.RemoveObstacleRequest, removal=r.ObstacleRemoved(obstacle_id="o-1")),
    "AskValueDefinition": records(
        facts.AskValueDefinitionRequest, question=r.ValueDefinitionAsked(channel=i.CHANNEL_EMAIL)
    ),
    "DeclareValueDefinition": records(
        facts.DeclareValueDefinitionRequest, definition=r.ValueDefinitionDeclared(values=["advice", "time"])
    ),
    "OpenPointOfContact": records(
        facts.OpenPointOfContactRequest,
        point_of_contact=r.PointOfContactOpened(point_of_contact_id="eve", side=exchange_pb2.PARTY_CUSTOMER),
    ),
    "ClosePointOfContact": records(
        facts.ClosePointOfContactRequest, closing=r.PointOfContactClosed(point_of_contact_id="eve")
    ),
    "WantContactShape": records(
        facts.WantContactShapeRequest, wish=r.ContactShapeWanted(shape=levels_pb2.CONTACT_SHAPE_DIAMOND)
    ),
    "EndRelationship": records(
        facts.EndRelationshipRequest, ending=r.RelationshipEnded(by=exchange_pb2.PARTY_CUSTOMER)
    ),
}

POLICIES: dict[str, Callable[[], Message]] = {
    "PublishPurposes": lambda: policies.PublishPurposesRequest(**ORGANIZATION, **key(), registry=REGISTRY),
    "ListPurposes": lambda: policies.ListPurposesRequest(**ORGANIZATION),
    "PublishContactPolicy": lambda: policies.PublishContactPolicyRequest(
        **ORGANIZATION, **key(), policy=CONTACT_POLICY
    ),
    "CheckContactPolicy": lambda: policies.CheckContactPolicyRequest(**ORGANIZATION, policy=CONTACT_POLICY),
    "GetContactPolicy": lambda: policies.GetContactPolicyRequest(**ORGANIZATION, built_in=True),
    "ListContactPolicies": lambda: policies.ListContactPoliciesRequest(**ORGANIZATION),
    "PublishAttributeCatalogue": lambda: policies.PublishAttributeCatalogueRequest(
        **ORGANIZATION, **key(), catalogue=CATALOGUE
    ),
    "ListAttributeDefinitions": lambda: policies.ListAttributeDefinitionsRequest(**ORGANIZATION),
    "PublishRelationshipPolicy": lambda: measuring.PublishRelationshipPolicyRequest(
        **ORGANIZATION, **key(), policy=RelationshipPolicy(half_life_days=30)
    ),
    "CheckRelationshipPolicy": lambda: measuring.CheckRelationshipPolicyRequest(
        **ORGANIZATION, policy=RelationshipPolicy(half_life_days=30)
    ),
    "GetRelationshipPolicy": lambda: measuring.GetRelationshipPolicyRequest(**ORGANIZATION, built_in=True),
    "ListRelationshipPolicies": lambda: measuring.ListRelationshipPoliciesRequest(**ORGANIZATION),
    "PublishTypes": lambda: measuring.PublishTypesRequest(**ORGANIZATION, **key(), catalogue=TYPES),
    "ListTypes": lambda: measuring.ListTypesRequest(**ORGANIZATION, industry="retail"),
    "DefinePersona": lambda: measuring.DefinePersonaRequest(**ORGANIZATION, **key(), persona=PERSONA),
    "ApprovePersona": lambda: measuring.ApprovePersonaRequest(
        **ORGANIZATION,
        **key(),
        approval=persona.PersonaApproved(
            persona_id="regulars", version=1, our_function=i.OUR_FUNCTION_SALES, approver_id="u-1"
        ),
    ),
    "RetirePersona": lambda: measuring.RetirePersonaRequest(
        **ORGANIZATION, **key(), retirement=persona.PersonaRetired(persona_id="regulars")
    ),
    "ListPersonae": lambda: measuring.ListPersonaeRequest(**ORGANIZATION),
}

UNDER = explaining.UnderPolicy(unpublished=RelationshipPolicy(half_life_days=30))
STANDING = explaining.StandingFilter(
    lifecycles=[levels_pb2.LIFECYCLE_ACTIVE], bands=[levels_pb2.STRENGTH_BAND_STRONG], exists=True
)
RELATIONSHIPS: dict[str, Callable[[], Message]] = {
    "GetRelationship": lambda: relationship.GetRelationshipRequest(
        **IDS, measures=[explaining.MEASURE_GROUP_STRENGTH], under=UNDER, scope=levels_pb2.VIEW_SCOPE_PERSON
    ),
    "BatchGetRelationships": lambda: relationship.BatchGetRelationshipsRequest(
        organization_id="acme", customer_ids=["anna"], measures=[explaining.MEASURE_GROUP_STRENGTH], under=UNDER
    ),
    "ListRelationships": lambda: relationship.ListRelationshipsRequest(
        organization_id="acme",
        filter=relationship.RelationshipFilter(standing=STANDING),
        order_by=relationship.RELATIONSHIP_ORDER_NEXT_CROSSING_ASCENDING,
    ),
    "ExplainRelationship": lambda: explaining.ExplainRelationshipRequest(**IDS, under=UNDER),
    "DiffRelationship": lambda: explaining.DiffRelationshipRequest(
        **IDS, a=explaining.RelationshipView(under=UNDER), b=explaining.RelationshipView()
    ),
    "ExplainIdentity": lambda: explaining.ExplainIdentityRequest(**IDS),
    "ExplainPersona": lambda: explaining.ExplainPersonaRequest(**IDS, persona_id="regulars"),
}

REPORTS: dict[str, Callable[[], Message]] = {
    "GetReturnRate": lambda: reports.GetReturnRateRequest(
        **ORGANIZATION, programme="club", joined=Window(to=Timestamp(seconds=1_000)), from_days=7, until_days=35
    ),
    "GetSolicitationReport": lambda: reports.GetSolicitationReportRequest(
        **ORGANIZATION,
        grouping=reports.SOLICITATION_GROUPING_CAMPAIGN,
        delivered=Window(to=Timestamp(seconds=1_000)),
        campaign="spring",
    ),
    "GetVisitReport": lambda: reports.GetVisitReportRequest(**ORGANIZATION, within_days=[7, 30], counts_max=8),
    "GetPressureReport": lambda: reports.GetPressureReportRequest(**ORGANIZATION),
    "GetMaturityReport": lambda: reports.GetMaturityReportRequest(**ORGANIZATION),
    "GetConsistencyReport": lambda: reports.GetConsistencyReportRequest(**ORGANIZATION, page_size=10),
    "GetStandingReport": lambda: reports.GetStandingReportRequest(
        **ORGANIZATION, as_of=AsOf(occur_time=Timestamp(seconds=2_000))
    ),
}

GOOD_REQUESTS = CONSENTS | CONTACTS | CUSTOMERS | RELATIONSHIP_ACTS | POLICIES | RELATIONSHIPS | REPORTS
"""By the name of the rpc."""
