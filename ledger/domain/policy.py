"""What an organization publishes, in its stream `organization_id/@policy`: here the asset registry (reciprocity.md 2).

Code, kind and scale of an asset are final; its limit only rises. So an amount that was ever accepted stays readable,
and a resend of it stays acceptable.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from ledger.domain.amounts import code_of
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.policy_pb2 import AssetKind, AssetRegistered
from rapport.type.v1.event_context_pb2 import EventContext

ASSET_REGISTERED: Final = "policy.asset_registered.v1"
_NOTE: Final = Struct(">Q")


class Asset(NamedTuple):
    """One entry of the registry."""

    kind: AssetKind.ValueType
    max_units_per_leg: int
    """From 1 to 10^15."""
    position: int
    """Where the event stands that last set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAsset:
    """Puts an asset into the registry, or raises its limit; changes nothing where it stands with the same content."""

    stream_id: str
    """The organization's policy stream."""
    asset: AssetRegistered
    """Code, kind and limit, each well-formed."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """No other stream."""
        return ()

    @property
    def needs_state(self) -> bool:
        """The registry as it stands decides."""
        return True

    def decide(self, state: "PolicyState", setting: Setting) -> Decision:
        """Return the registration; nothing but a note (`noted_position`) where the entry stands already.

        Raises:
            Rejected: ASSET_CODE_TAKEN by another scale or kind, or by a higher limit.
        """
        asked = self.asset
        name = state.by_code.get(code_of(asked.asset))
        if name is not None:
            asset = state.assets[name]
            if name != asked.asset:
                raise _taken(name, asset, "asset", "its scale is final")
            if asset.kind != asked.kind:
                raise _taken(name, asset, "kind", "its kind is final")
            if asset.max_units_per_leg > asked.max_units_per_leg:
                raise _taken(name, asset, "max_units_per_leg", "its limit only rises")
            if asset.max_units_per_leg == asked.max_units_per_leg:
                return Decision((), _NOTE.pack(asset.position))
        fact = NewFact(
            topic=ASSET_REGISTERED, event=asked, occur_time=setting.now, defaulted=True, context=self.context
        )
        return Decision((fact,))


def noted_position(note: bytes) -> int:
    """Return the position that the note of a registration without an event names: the entry's own."""
    position: int = _NOTE.unpack(note)[0]
    return position


def _taken(name: str, asset: Asset, field: str, why: str) -> Rejected:
    kind = AssetKind.Name(asset.kind).removeprefix("ASSET_KIND_")
    return Rejected(
        reasons.ERROR_REASON_ASSET_CODE_TAKEN,
        f"{name} is registered as {kind} with at most {asset.max_units_per_leg} units in a leg; {why}",
        [Violation(field, f"{name} is registered otherwise; {why}", reasons.ERROR_REASON_ASSET_CODE_TAKEN)],
        asset=name,
        kind=kind,
        max_units_per_leg=asset.max_units_per_leg,
    )


class PolicyState:
    """Fold of an organization's policy stream. Mutable inside the fold (settled.md 21)."""

    __slots__ = ("_until", "assets", "by_code")

    def __init__(self, until: int = END_OF_TIME) -> None:
        self._until = until
        self.assets: dict[str, Asset] = {}
        """The registry, by `CODE/scale`."""
        self.by_code: dict[str, str] = {}
        """`CODE/scale` by code."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order; of an organization's other publications nothing is kept."""
        if fact.topic != ASSET_REGISTERED or fact.occur_time > self._until:
            return
        event = fact.event
        assert isinstance(event, AssetRegistered)
        self.assets[event.asset] = Asset(event.kind, event.max_units_per_leg, fact.position)
        self.by_code.setdefault(code_of(event.asset), event.asset)
