"""What commands about policies have in common: an organization, a file that is read, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from services.cli.arguments import Commands, Parser, add_common
from services.cli.output import warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.cli.toml_file import Fault


class File(Protocol):
    """A file that was read, as far as its faults are told."""

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with it."""
        ...

    def told(self, fault: Fault) -> str:
        """Return a fault with the place where it is."""
        ...

    def fault_of(self, path: str, description: str) -> Fault:
        """Return what a server found at a path of the request."""
        ...


class FoundFault(Protocol):
    """A fault that a server found."""

    field: str
    description: str
    reason: str


def add_command(verbs: Commands, name: str, text: str) -> Parser:
    """Add a command about an organization."""
    command: Parser = verbs.add_parser(name, help=text)
    command.add_argument("organization", metavar="ORGANIZATION", help="company side")
    add_common(command)
    return command


def add_file(verbs: Commands, name: str, text: str, page: str = "docs/concepts/contact-policy.md") -> Parser:
    """Add a command that reads a file; `page` shows one."""
    command = add_command(verbs, name, text)
    command.add_argument("file", metavar="FILE.toml", type=Path, help=f"see {page}")
    return command


def told_faults(file: File) -> bool:
    """Tell every fault of a file, if there are any."""
    for fault in file.faults:
        warn(file.told(fault))
    return bool(file.faults)


def tell_found(file: File, faults: Iterable[FoundFault]) -> None:
    """Tell what a server found wrong with a file, each where the file says it."""
    for each in faults:
        reason = "" if each.reason == "REQUEST_INVALID" else f" [{each.reason}]"
        warn(file.told(file.fault_of(each.field, each.description)) + reason)
