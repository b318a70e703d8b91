"""Personae of an organization: what it published, who approved it, and which are active (relationship.md 11).

A version counts once enough different functions approved that very version; of several that do, the latest. Until then
the one before goes on counting, if it did. A retired persona comes back by a new version only.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ledger.domain.fact import Fact
from rapport.events.v1.persona_pb2 import PersonaApproved, PersonaDefined, PersonaRetired

PERSONA_DEFINED: Final = "policy.persona_defined.v1"
PERSONA_APPROVED: Final = "policy.persona_approved.v1"
PERSONA_RETIRED: Final = "policy.persona_retired.v1"


class Approval(NamedTuple):
    """A function said yes."""

    message: PersonaApproved
    position: int
    record_time: int
    stream_version: int


class Retirement(NamedTuple):
    """It is used no more."""

    position: int
    record_time: int
    stream_version: int


class Persona(NamedTuple):
    """A version of a persona and where it stands. Never changed: the next fact makes another."""

    message: PersonaDefined
    """As it is stored."""
    position: int
    """Log position of the event that defined it."""
    record_time: int
    """When it was defined, in microseconds."""
    stream_version: int
    """That event's version in the policy stream."""
    approvals: Mapping[int, Approval] = {}
    """Of this version, by `OurFunction`; the first of each."""
    retired: Retirement | None = None
    """None: it is not."""

    @property
    def functions(self) -> tuple[int, ...]:
        """`OurFunction`s that approved it, ascending."""
        return tuple(sorted(self.approvals))

    def is_active(self, approvals_needed: int) -> bool:
        """Tell whether customers may belong to it, given how many functions the policy asks for."""
        return not self.retired and len(self.approvals) >= approvals_needed


class Personae:
    """Fold of what an organization published about personae; it obeys the bound on known positions only."""

    __slots__ = ("_latest", "_versions")

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        """Greatest version by persona_id."""
        self._versions: dict[tuple[str, int], Persona] = {}

    def latest(self, persona_id: str) -> int:
        """Return the greatest version of a persona; 0 where there is none."""
        return self._latest.get(persona_id, 0)

    def version(self, persona_id: str, version: int) -> Persona | None:
        """Return a version of a persona, or None where it is not defined."""
        return self._versions.get((persona_id, version))

    def versions(self, persona_id: str) -> tuple[Persona, ...]:
        """Return the versions of a persona, ascending."""
        return tuple(each for (known, _), each in self._versions.items() if known == persona_id)

    def get(self, persona_id: str) -> Persona | None:
        """Return the latest version of a persona, or None where there is none."""
        return self._versions.get((persona_id, self.latest(persona_id)))

    def counting(self, persona_id: str, approvals_needed: int) -> Persona | None:
        """Return the latest version that is active, or None where none is."""
        active = [each for each in self.versions(persona_id) if each.is_active(approvals_needed)]
        return active[-1] if active else None

    def all(self) -> tuple[Persona, ...]:
        """Return the latest version of each persona, by id."""
        return tuple(self._versions[key] for key in sorted(self._latest.items()))

    def active(self, approvals_needed: int) -> tuple[Persona, ...]:
        """Return the latest active version of each persona that has one, by id."""
        found = (self.counting(persona_id, approvals_needed) for persona_id in sorted(self._latest))
        return tuple(each for each in found if each is not None)

    def evolve(self, fact: Fact) -> None:
        """Fold a fact of one of the three topics; an approval or retirement of what is not defined counts nothing."""
        FOLDS[fact.topic](self, fact)

    def _define(self, fact: Fact) -> None:
        event: PersonaDefined = fact.event  # type: ignore[assignment]  # The topic says so.
        self._versions[event.persona_id, event.version] = Persona(event, fact.position, fact.record_time, fact.version)
        self._latest[event.persona_id] = event.version

    def _approve(self, fact: Fact) -> None:
        event: PersonaApproved = fact.event  # type: ignore[assignment]
        key = (event.persona_id, event.version)
        found = self._versions.get(key)
        if found is not None and event.our_function not in found.approvals:
            approval = Approval(event, fact.position, fact.record_time, fact.version)
            self._versions[key] = found._replace(approvals={**found.approvals, event.our_function: approval})

    def _retire(self, fact: Fact) -> None:
        event: PersonaRetired = fact.event  # type: ignore[assignment]
        retired = Retirement(fact.position, fact.record_time, fact.version)
        for found in self.versions(event.persona_id):
            if found.retired is None:
                self._versions[event.persona_id, found.message.version] = found._replace(retired=retired)


FOLDS: Final[Mapping[str, Callable[[Personae, Fact], None]]] = {
    PERSONA_DEFINED: Personae._define,  # noqa: SLF001  # Of this class.
    PERSONA_APPROVED: Personae._approve,  # noqa: SLF001
    PERSONA_RETIRED: Personae._retire,  # noqa: SLF001
}
"""What folds each topic."""
