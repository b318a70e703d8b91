"""Conditions of a mapping: `when = "paid > 0 and channel != 'T'"`.

    condition   comparison, `not` condition, condition `and` condition, condition `or` condition, ( condition )
    comparison  left = right, and != < <= > >=
    left, right a column or value by its name, a number such as 12.50, a text or time in single quotes

Compared are numbers and amounts with numbers, times with times, texts with texts (these only by = and !=). A value that
is optional and empty is unequal to everything and neither smaller nor larger. Nothing else can be said, so that a
mapping from elsewhere can do no harm.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.importing.faults import MappingError
from services.cli.importing.values import Kind, Kinds, Quantity, Row
from services.client.values import timestamp

Condition = Callable[[Row], bool]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<operator>==|!=|<=|>=|=|<|>)|(?P<paren>[()])|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|'(?P<text>[^']*)'|(?P<name>[A-Za-z_][A-Za-z0-9_]*))"
)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: Final = {"and", "or", "not"}


class _Token(NamedTuple):
    kind: str
    text: str


class _Operand(NamedTuple):
    kind: Kind
    get: Callable[[Row], Any]
    literal: str | None


def compile_condition(text: str, kinds: Kinds, place: str) -> Condition:
    """Return what tells whether a condition holds for a line.

    Raises:
        MappingError: It cannot be read, names something unknown, or compares what cannot be compared.
    """
    return _Parser(text, kinds, place).parse()


class _Parser:
    """Recursive descent over the few rules above."""

    def __init__(self, text: str, kinds: Kinds, place: str) -> None:
        self._text = text
        self._kinds = kinds
        self._place = place
        self._tokens = self._split()
        self._next = 0

    def parse(self) -> Condition:
        condition = self._either()
        if self._peek() is not None:
            raise self._fault(f"{self._tokens[self._next].text!r} is one too many")
        return condition

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._take("name", "or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("name", "and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _one(self) -> Condition:
        if self._take("name", "not"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._take("paren", "("):
            inner = self._either()
            if not self._take("paren", ")"):
                raise self._fault("a closing parenthesis is missing")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        token = self._peek()
        if token is None or token.kind != "operator":
            raise self._fault("a comparison is missing, such as `paid > 0`")
        self._next += 1
        return self._compare(left, token.text, self._operand())

    def _compare(self, left: _Operand, sign: str, right: _Operand) -> Condition:
        if left.kind is Kind.TIME and right.literal is not None:
            right = self._time(right.literal)
        elif right.kind is Kind.TIME and left.literal is not None:
            left = self._time(left.literal)
        numbers = {Kind.INTEGER, Kind.AMOUNT}
        if left.kind != right.kind and not {left.kind, right.kind} <= numbers:
            raise self._fault(f"a value of type {left.kind.value} is compared with one of type {right.kind.value}")
        if left.kind is Kind.TEXT and sign not in {"=", "==", "!="}:
            raise self._fault("texts are compared by = and != only")
        compare, (_, get_left, _), (_, get_right, _) = _OPERATORS[sign], left, right

        def holds(row: Row) -> bool:
            one, other = get_left(row), get_right(row)
            if one is None or other is None:
                return sign == "!="
            return compare(one, other)

        return holds

    def _operand(self) -> _Operand:
        token = self._peek()
        if token is None or token.kind in {"operator", "paren"} or (token.kind == "name" and token.text in _WORDS):
            raise self._fault("a name, number or 'text' is missing")
        self._next += 1
        if token.kind == "number":
            number = Decimal(token.text)
            return _Operand(Kind.INTEGER, lambda _: number, None)
        if token.kind == "text":
            return _Operand(Kind.TEXT, lambda _: token.text, token.text)
        kind = self._kinds.get(token.text)
        if kind is None:
            raise self._fault(f"{token.text} is neither a column nor a value")
        name = token.text
        return _Operand(kind, lambda row: _comparable(row[name]), None)

    def _time(self, text: str) -> _Operand:
        try:
            time = _comparable(timestamp(datetime.fromisoformat(text)))
        except ValueError as error:
            raise self._fault(f"{error}; write a time such as '1997-03-31T00:00:00Z'") from error
        return _Operand(Kind.TIME, lambda _: time, None)

    def _split(self) -> list[_Token]:
        tokens, end = [], 0
        while self._text[end:].strip():
            match = _TOKEN.match(self._text, end)
            if match is None:
                raise self._fault(f"cannot be read from {self._text[end:].strip()!r} on")
            kind = match.lastgroup or "text"
            tokens.append(_Token(kind, match[kind]))
            end = match.end()
        return tokens

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, kind: str, text: str) -> bool:
        if self._peek() != (kind, text):
            return False
        self._next += 1
        return True

    def _fault(self, message: str) -> MappingError:
        return MappingError(self._place, f"condition {self._text!r}: {message}")


def _comparable(value: Any) -> Any:
    match value:
        case Quantity():
            return value.number
        case Timestamp():
            return value.seconds, value.nanos
        case _:
            return value
