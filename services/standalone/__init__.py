"""All services in one process."""

from typing import Final

from services.consent import servicer as consent
from services.interaction import servicer as interaction
from services.runtime.run import ServiceModule

SERVICES: Final[tuple[ServiceModule, ...]] = (interaction, consent)
"""What a standalone process serves, in the order in which it is mounted."""
