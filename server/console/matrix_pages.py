"""Who sees what: the policy in force as a table of fields and roles for one purpose, with the rules that decide.

It is the table that requests are answered by (`policies.matrix`), and nothing of anybody is in it.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from policies import PolicySet, matrix
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame
from server.console.keeper import Keeper
from server.console.sections import SECTIONS
from server.console.words import rule_sentence

_MATRIX = next(each for each in SECTIONS if each.name == "matrix")
OBJECTS: Final = {
    "profile": "Profile",
    "order": "Orders",
    "ticket": "Support requests",
    "event": "Activity",
    "access_entry": "Access log",
}
_FIRST: Final = "customer_service"


class MatrixPages:
    """The matrix."""

    def __init__(self, frame: Frame, keeper: Keeper | None) -> None:
        self._frame = frame
        self._keeper = keeper

    async def matrix(self, request: Request) -> Response:
        """Fields by roles, for a purpose; or one role's."""
        visit = await self._frame.visit(request)
        if self._keeper is None:
            raise NotServedError("It shows no policy.")
        recorded = await self._keeper.look(visit.who, _MATRIX, "ConsoleMatrix")
        policies, query = self._frame.policies(), request.query_params
        usual = _FIRST if _FIRST in policies.purposes else next(iter(policies.purposes))
        purpose, role = query.get("purpose") or usual, query.get("role") or None
        owner = query.get("of") or "profile"
        if purpose not in policies.purposes or (role is not None and role not in policies.roles):
            raise NoSuchPageError("The policy has no such purpose, or no such role.")
        if owner not in policies.catalogue.objects:
            raise NoSuchPageError("The catalogue has no such kind of record.")
        shown = matrix(policies, purpose, None if role is None else [role])
        rows = [each for each in shown.rows if each.field.object == owner]
        numbers = {cell.rule for row in rows for cell in row.cells if cell.rule is not None}
        return self._frame.show(
            visit,
            "matrix.html",
            shown=shown,
            rows=rows,
            role=role,
            owner=owner,
            objects=[(OBJECTS.get(each, each.capitalize()), each) for each in policies.catalogue.objects],
            purposes=list(policies.purposes.values()),
            roles=list(policies.roles.values()),
            elsewhere=[] if role is None else _purposes_of(policies, role),
            rules=[
                (each, policies.rules[each - 1].line, rule_sentence(policies.rules[each - 1], policies))
                for each in sorted(numbers)
            ],
            recorded=recorded,
        )


def _purposes_of(policies: PolicySet, role: str) -> list[tuple[str, str]]:
    """The purposes for which a role may see anything."""
    return [
        (name, purpose.label)
        for name, purpose in policies.purposes.items()
        if any(policies.decide((role,), name).read.values())
    ]


__all__ = ["OBJECTS", "MatrixPages"]
