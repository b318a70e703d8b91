"""Where the services are: one address for all, or one for each service that stands apart.

`HOST:PORT` is for everything. `HOST:PORT,audit=HOST:PORT,...` names exceptions; without the first part every service
that is used must be named. Services go by the name of their package: `interaction`, `consent`, `contact`,
`customer`, `exchange`, `policy`, `relationship`, `projection`, `change`, `report`, `audit`; those from `relationship`
to `report` are one process's.
"""

from __future__ import annotations

from typing import Final

DEFAULT_TARGET: Final = "127.0.0.1:50051"


def parse_targets(text: str) -> dict[str, str]:
    """Return service -> address; the empty service is everything that is not named.

    Raises:
        ValueError: A part is empty, or names a service twice.
    """
    targets: dict[str, str] = {}
    for part in text.split(","):
        service, equals, address = part.strip().rpartition("=")
        if not address or (equals and not service) or service in targets:
            raise ValueError(f"{text!r} is no target; write HOST:PORT, or HOST:PORT,audit=HOST:PORT and so on")
        targets[service] = address
    return targets


def target_of(targets: dict[str, str], service: str) -> str:
    """Return the address of a service.

    Raises:
        ValueError: Neither the service nor a target for all is named.
    """
    address = targets.get(service, targets.get(""))
    if address is None:
        raise ValueError(f"no target for the {service} service; add {service}=HOST:PORT, or one HOST:PORT for all")
    return address
