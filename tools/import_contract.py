"""The kind of import contract that pyproject.toml uses: what a package may import, everything else being forbidden.

The table "who may import whom" of docs/style.md is an allow-list, so its contracts are too: a new dependency has to be
written down before it can be used. import-linter finds this class through `contract_types`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import ClassVar, Final, cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

STANDARD_LIBRARY: Final = sys.stdlib_module_names | {"__future__"}


class MayImportContract(Contract):
    """Holds when every direct import out of `modules` is inside them, allowed, or of the standard library.

    Direct imports are enough: what an allowed package imports is held by the contract of that package.

    Options:
        modules: Packages or modules the contract speaks of, with all below them. Absent ones are passed over.
        but_not: Packages or modules below `modules` that have a contract of their own.
        allowed: Packages or modules that may be imported, with all below them.
    """

    type_name: ClassVar = "may_import"

    modules = fields.ListField(subfield=fields.StringField())
    but_not = fields.ListField(subfield=fields.StringField(), default=[])
    allowed = fields.ListField(subfield=fields.StringField(), default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002  # The base class asks.
        """Return the imports that nothing allows, as lines `importer:line imports module`."""
        modules = cast(list[str], self.modules)
        allowed = [*modules, *cast(list[str], self.allowed)]
        importers = [
            name for name in sorted(graph.modules) if inside(name, modules) and not inside(name, self.but_not_list())
        ]
        refused = [
            f"{importer}:{line_of(graph, importer, imported)} imports {imported}"
            for importer in importers
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not permitted(imported, allowed, self.but_not_list())
        ]
        return ContractCheck(kept=not refused, metadata={"refused": refused, "allowed": allowed})

    def but_not_list(self) -> list[str]:
        """Return `but_not`, typed."""
        return cast(list[str], self.but_not)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what was refused and what would have been allowed."""
        for line in cast(list[str], check.metadata["refused"]):
            output.print_error(line)
        output.print(f"Allowed here: {', '.join(cast(list[str], check.metadata['allowed']))}")


def permitted(imported: str, allowed: Collection[str], but_not: Collection[str]) -> bool:
    """Tell whether `imported` may be imported; what has a contract of its own is only allowed where it is named."""
    if imported.partition(".")[0] in STANDARD_LIBRARY:
        return True
    longest_allowed = max((len(name) for name in allowed if inside(imported, [name])), default=0)
    longest_excepted = max((len(name) for name in but_not if inside(imported, [name])), default=0)
    return longest_allowed > 0 and longest_allowed >= longest_excepted


def inside(name: str, packages: Collection[str]) -> bool:
    """Tell whether the module `name` is one of `packages` or below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def line_of(graph: ImportGraph, importer: str, imported: str) -> int:
    """Return the line of the first such import."""
    return min(int(detail["line_number"]) for detail in graph.get_import_details(importer=importer, imported=imported))
