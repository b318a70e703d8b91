"""Words in which facts are told, in a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.events.v1 import disclosure_pb2
from services.cli.output import enum_cell

if TYPE_CHECKING:
    from collections.abc import Iterable


def joined(words: Iterable[str]) -> str:
    """Return words as one text, without those that are empty."""
    return " ".join(word for word in words if word)


def because(reason: str) -> str:
    """Return a reason as an aside; empty where there is none."""
    return f"({reason})" if reason else ""


def provenance_cell(provenance: int) -> str:
    """Return from where something is known."""
    return enum_cell(disclosure_pb2.Provenance.DESCRIPTOR, provenance)
