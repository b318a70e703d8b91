"""Versions of valuation policies: what an organization says that exchanges are worth (reciprocity.md 5)."""

from ledger.domain.exchange_rules import category_name
from rapport.events.v1.valuation_pb2 import ValuationRule


def group_of(category: int) -> str:
    """Return the group of a category: the first word of its name. Example: `SERVICE` of SERVICE_SUPPORT."""
    return category_name(category).partition("_")[0]  # type: ignore[arg-type]  # Told as its number where unknown.


def scope_of(rule: ValuationRule) -> int | str:
    """Return which legs a rule is for: a category, the name of a group, or "" for any category."""
    return rule.category or rule.group
