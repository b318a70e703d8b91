"""How a fault of a contact policy, a registry or a catalogue is told."""

from ledger.domain.errors import Violation
from ledger.domain.faults import Fault
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import LegalBasis


def invalid(field: str, description: str) -> Fault:
    """Return a fault of a field by itself."""
    return Fault(Violation(field, description, reasons.ERROR_REASON_REQUEST_INVALID))


def conflict(field: str, description: str) -> Fault:
    """Return the fault of a rule that repeats or contradicts another."""
    return Fault(Violation(field, description, reasons.ERROR_REASON_POLICY_RULES_CONFLICT))


def unknown_purpose(field: str, slug: str) -> Fault:
    """Return the fault of a purpose that the registry does not have."""
    return invalid(field, f"must be in the registry of purposes, and {slug} is not; publish it first")


def basis_name(basis: int) -> str:
    """Return the name of a legal basis without its prefix; its number where this release does not know it."""
    known = LegalBasis.DESCRIPTOR.values_by_number.get(basis)
    return known.name.removeprefix("LEGAL_BASIS_") if known else str(basis)
