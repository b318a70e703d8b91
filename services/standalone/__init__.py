"""All services in one process."""

from typing import Final

from services.audit import servicer as audit
from services.consent import servicer as consent
from services.contact import servicer as contact
from services.customer import servicer as customer
from services.exchange import servicer as exchange
from services.interaction import servicer as interaction
from services.policy import servicer as policy
from services.relationship import servicer as relationship
from services.relay import servicer as relay
from services.runtime.run import ServiceModule

SERVICES: Final[tuple[ServiceModule, ...]] = (
    interaction,
    consent,
    customer,
    contact,
    exchange,
    policy,
    relationship,
    audit,
    relay,
)
"""What a standalone process serves, in the order in which it is mounted."""
