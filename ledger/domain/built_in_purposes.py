"""The purposes that count until an organization publishes its own: version 0 of the registry (consent.md 2).

Frozen. Decisions made under version 0 are replayed with it, so it never changes; a test holds its bytes. Whoever wants
others publishes a registry.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import Purpose, PurposeRegistry

_DPV: Final = "https://w3id.org/dpv#"

_CONSENT: Final = c.LEGAL_BASIS_CONSENT
_CONTRACT: Final = c.LEGAL_BASIS_CONTRACT_PERFORMANCE
_BEFORE_CONTRACT: Final = c.LEGAL_BASIS_ENTER_INTO_CONTRACT
_DUTY: Final = c.LEGAL_BASIS_LEGAL_OBLIGATION
_INTEREST: Final = c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER
_IMPLIED: Final = (
    c.LEGAL_BASIS_SOFT_OPT_IN,
    c.LEGAL_BASIS_IMPLIED_EXISTING_BUSINESS,
    c.LEGAL_BASIS_IMPLIED_INQUIRY,
    c.LEGAL_BASIS_IMPLIED_NON_BUSINESS,
    c.LEGAL_BASIS_IMPLIED_PUBLISHED_ADDRESS,
)
"""They make a direct message lawful, and nothing else."""


class _Family(NamedTuple):
    """What the purposes of a class have in common."""

    purpose_class: p.PurposeClass.ValueType
    objectable: p.Objectable.ValueType
    legal_bases: tuple[c.LegalBasis.ValueType, ...]
    message_classes: tuple[i.MessageClass.ValueType, ...]


_MARKETING: Final = _Family(
    p.PURPOSE_CLASS_MARKETING, p.OBJECTABLE_ABSOLUTE, (_CONSENT, _INTEREST), (i.MESSAGE_CLASS_MARKETING,)
)
_DIRECT: Final = _MARKETING._replace(legal_bases=(_CONSENT, _INTEREST, *_IMPLIED))
# These may be used with marketing messages, so an objection needs no grounds (GDPR Article 21(2)).
_PERSONALISATION: Final = _Family(
    p.PURPOSE_CLASS_PERSONALISATION,
    p.OBJECTABLE_ABSOLUTE,
    (_CONSENT, _INTEREST),
    (i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE),
)
_SERVICE: Final = _Family(
    p.PURPOSE_CLASS_SERVICE,
    p.OBJECTABLE_NONE,
    (_CONSENT, _CONTRACT, _BEFORE_CONTRACT, _DUTY, _INTEREST),
    (i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL),
)
_RESEARCH: Final = _Family(
    p.PURPOSE_CLASS_RESEARCH, p.OBJECTABLE_ON_GROUNDS, (_CONSENT, _INTEREST), (i.MESSAGE_CLASS_SURVEY,)
)
_COMMUNITY: Final = _Family(
    p.PURPOSE_CLASS_COMMUNITY, p.OBJECTABLE_ABSOLUTE, (_CONSENT, _CONTRACT), (i.MESSAGE_CLASS_COMMUNITY,)
)
_SHARING: Final = _Family(
    p.PURPOSE_CLASS_SHARING,
    p.OBJECTABLE_ABSOLUTE,
    (_CONSENT,),
    (i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE),
)
_LAW: Final = _Family(
    p.PURPOSE_CLASS_DUTY,
    p.OBJECTABLE_NONE,
    (_CONTRACT, _DUTY, _INTEREST),
    (i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL),
)

_PURPOSES: Final[tuple[tuple[str, _Family, str, str], ...]] = (
    ("analytics.usage", _RESEARCH, "ServiceUsageAnalytics", "See how products and services are used"),
    ("community", _COMMUNITY, "MembersAndPartnersManagement", "Clubs, forums, contributions"),
    ("crm.management", _SERVICE, "CustomerRelationshipManagement", "Keep the relationship in order"),
    ("infomediary.intent", _SHARING, "", "Pass on what the customer looks for"),
    ("legal.compliance", _LAW, "LegalCompliance", "Do what the law asks"),
    ("marketing", _DIRECT, "Marketing", "Promote something"),
    ("marketing.advertising.targeted", _MARKETING, "TargetedAdvertising", "Show advertising chosen for the person"),
    ("marketing.direct", _DIRECT, "DirectMarketing", "Write or call to promote something"),
    ("marketing.social", _MARKETING, "SocialMediaMarketing", "Promote something in social media"),
    ("order.management", _SERVICE, "CustomerOrderManagement", "See an order through"),
    ("payment", _SERVICE, "PaymentManagement", "Take and return payments"),
    ("personalisation", _PERSONALISATION, "Personalisation", "Fit what is offered to the person"),
    ("personalisation.benefits", _PERSONALISATION, "PersonalisedBenefits", "Give benefits chosen for the person"),
    (
        "personalisation.recommendation",
        _PERSONALISATION,
        "ProvidePersonalisedRecommendations",
        "Recommend what may fit the person",
    ),
    ("research", _RESEARCH, "ResearchAndDevelopment", "Learn"),
    ("research.product", _RESEARCH, "ImproveExistingProductsAndServices", "Learn what to make better"),
    ("research.survey", _RESEARCH, "CommercialResearch", "Ask customers questions"),
    ("security.fraud", _LAW, "FraudPreventionAndDetection", "Prevent and find fraud"),
    ("service", _SERVICE, "ServiceProvision", "Help with what the customer has or ordered"),
    ("service.account", _SERVICE, "AccountManagement", "Keep the customer's account"),
    ("service.care", _SERVICE, "CustomerCare", "Answer questions and mend what went wrong"),
    ("service.delivery", _SERVICE, "DeliveryOfGoods", "Bring what was ordered"),
    ("sharing", _SHARING, "", "Give data to others"),
    ("sharing.insights", _SHARING, "SellInsightsFromData", "Sell what was learnt from data"),
    ("sharing.sale", _SHARING, "SellDataToThirdParties", "Sell data"),
    ("sharing.third_party", _SHARING, "", "Pass data on to third parties"),
)
"""Slug, family, DPV term where there is one, title; by slug."""


def _built(rows: Iterable[tuple[str, _Family, str, str]]) -> Iterator[Purpose]:
    rows = tuple(rows)
    slugs = {slug for slug, *_ in rows}
    for slug, family, term, title in rows:
        above = slug.rpartition(".")[0]
        yield Purpose(
            slug=slug,
            title=title,
            dpv_iri=_DPV + term if term else "",
            parent=above if above in slugs else "",
            purpose_class=family.purpose_class,
            objectable=family.objectable,
            legal_bases=family.legal_bases,
            message_classes=family.message_classes,
        )


BUILT_IN_PURPOSES: Final = PurposeRegistry(purposes=_built(_PURPOSES))
"""Version 0; never changed."""
