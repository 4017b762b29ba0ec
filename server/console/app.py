"""The console: pages for staff at one path of the server.

Every page that shows something of the log asks GraphQL for it with the reader's own token, purpose and case, so the
same policy decides and the same record is made as for a program. Without JavaScript everything works.
"""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from customers.oversight.break_glass import BreakGlass
from policies import PolicySet
from schema.build import BuiltSchema
from schema.service import GraphQLService
from server.console.account_pages import AccountPages
from server.console.audit_pages import AuditPages
from server.console.consents_pages import ConsentPages
from server.console.dead_letters_pages import DeadLetterPages
from server.console.enrolment_pages import EnrolmentPages
from server.console.errors import NoSuchPageError
from server.console.export_pages import ExportPages
from server.console.forms import FormReader, Site
from server.console.frame import Frame, Handler
from server.console.glass_pages import GlassPages
from server.console.keeper import Keeper
from server.console.keeping import Keeping
from server.console.lookup_pages import LISTINGS, LookupPages
from server.console.matrix_pages import MatrixPages
from server.console.officer import Officer
from server.console.pages import Pages
from server.console.parts import Exports, Proofs
from server.console.people import People
from server.console.people_pages import PeoplePages
from server.console.person_requests_pages import PersonRequestPages
from server.console.plan_pages import PlanPages
from server.console.processing_pages import ProcessingPages
from server.console.quality_pages import QualityPages
from server.console.reading import Reader
from server.console.requests_pages import RequestPages
from server.console.search import LogShape
from server.console.sign_in import SignInPages
from server.console.source_pages import SourcePages
from server.console.staff import Staff

Made = Callable[[str, Handler], Route]


class Console:
    """An ASGI application to mount.

    Args:
        service: what answers GraphQL.
        schema: the schema it answers by.
        staff: who may sign in, and who is.
        policies: the policy in force.
        random: gives that many random bytes.
        proofs: what can be shown of entries, if this server can.
        exports: what makes exports, if this server can.
        origin: where browsers find this server, such as `https://confide.example`; needed behind a proxy.
        keeper: admits and records what pages show beside GraphQL.
        keeping: sources, tracking plans and violations, if this server takes events in.
        people: who is who, if this server joins profiles.
        officer: what the pages about customers, their requests and the policy need.
        glass: lets staff see more in an emergency, if this server does.
        body_seconds: how long a form may take to arrive.
        mounted_at: the path this is mounted at.
    """

    def __init__(
        self,
        *,
        service: GraphQLService,
        schema: BuiltSchema,
        staff: Staff,
        policies: Callable[[], PolicySet],
        random: Callable[[int], bytes],
        proofs: Proofs | None = None,
        exports: Exports | None = None,
        keeper: Keeper | None = None,
        keeping: Keeping | None = None,
        people: People | None = None,
        officer: Officer | None = None,
        glass: BreakGlass | None = None,
        origin: str | None = None,
        body_seconds: float = 10.0,
        mounted_at: str = "/console",
    ) -> None:
        shape = LogShape.of(schema)
        base = mounted_at.rstrip("/")
        self._frame = Frame(
            base=base,
            site=Site(origin),
            forms=FormReader(body_seconds),
            staff=staff,
            pages=Pages(base, random),
            reader=Reader(service, shape),
            policies=policies,
            can_export=exports is not None,
            glass=glass,
        )
        self._sign_in = SignInPages(self._frame)
        self._enrolment = EnrolmentPages(self._frame, self._sign_in)
        self._audit = AuditPages(self._frame, shape, proofs)
        self._exports = ExportPages(self._frame, shape, exports)
        self._sources = SourcePages(self._frame, keeping)
        self._plans = PlanPages(self._frame, keeping)
        self._people = PeoplePages(self._frame, people)
        self._quality = QualityPages(self._frame, keeper)
        names = None if officer is None else officer.names
        self._lookup = LookupPages(self._frame, keeper, names)
        self._requests = RequestPages(self._frame, keeper, officer)
        self._requests_of = PersonRequestPages(self._frame, keeper, officer)
        self._consents = ConsentPages(self._frame, names)
        self._matrix = MatrixPages(self._frame, keeper)
        self._processing = ProcessingPages(self._frame, keeper, officer)
        self._failed = DeadLetterPages(self._frame, keeper, officer)
        self._glass = GlassPages(self._frame, glass, keeper)
        self._account = AccountPages(self._frame)
        self._app = Starlette(routes=self._routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._app(scope, receive, send)

    async def doors(self, _: Request) -> Response:
        """A page for a laptop, outside the console: where to look at what the server serves."""
        return self._frame.pages.page("doors.html")

    def _routes(self) -> list[Route]:
        def get(path: str, handler: Handler) -> Route:
            return Route(path, self._frame.guarded(handler), methods=["GET"])

        def post(path: str, handler: Handler) -> Route:
            return Route(path, self._frame.guarded(handler), methods=["POST"])

        async def asset(request: Request) -> Response:
            return self._frame.pages.asset(request)

        async def missing(_: Request) -> Response:
            raise NoSuchPageError("There is no page at this address.")

        signing, log, exports = self._sign_in, self._audit, self._exports
        return [
            get("/", signing.home),
            get("/sign-in", signing.sign_in_form),
            post("/sign-in", signing.sign_in),
            post("/sign-in/local", signing.sign_in_local),
            get("/sign-in/oidc", signing.begin_oidc),
            get("/sign-in/oidc/back", signing.finish_oidc),
            get("/enrol", self._enrolment.form),
            post("/enrol", self._enrolment.show),
            post("/enrol/finish", self._enrolment.finish),
            # Not guarded as what browsers send is: the provider itself asks, and signs what it says.
            Route("/sign-in/oidc/logout", signing.end_oidc, methods=["POST"]),
            post("/sign-out", signing.sign_out),
            get("/account", self._account.page),
            post("/account/password", self._account.change_password),
            post("/account/end", self._account.end_session),
            get("/break-glass", self._glass.page),
            post("/break-glass", self._glass.open),
            post("/break-glass/{opening}/end", self._glass.end),
            post("/break-glass/{opening}/review", self._glass.review),
            get("/purpose", signing.purpose_form),
            post("/purpose", signing.state_purpose),
            get("/audit", log.search),
            post("/audit", log.start_search),
            get("/audit/export", exports.export_form),
            post("/audit/export", exports.start_export),
            get("/audit/exports/{job}", exports.export),
            get("/audit/exports/{job}/file", exports.export_file),
            get("/audit/{entry}", log.entry),
            post("/audit/{entry}/verify", log.verify),
            get("/audit/{entry}/receipt", log.receipt),
            *self._data_routes(get, post),
            *self._officer_routes(get, post),
            Route("/static/{name}", asset, methods=["GET"]),
            get("/{rest:path}", missing),
        ]

    def _data_routes(self, get: Made, post: Made) -> list[Route]:
        """The pages of those who keep data. `+` is in no name, so what begins with it is never a source's or a case's."""
        sources, plans, people, quality = self._sources, self._plans, self._people, self._quality
        return [
            get("/sources", sources.sources),
            get("/sources/+new", sources.new),
            post("/sources/+new", sources.create),
            get("/sources/{name}", sources.source),
            post("/sources/{name}/change", sources.change),
            post("/sources/{name}/rotate", sources.rotate),
            post("/sources/{name}/secret", sources.secret),
            post("/sources/{name}/disable", sources.disable),
            get("/plans", plans.plans),
            get("/plans/{name}", plans.plan),
            get("/plans/{name}/{version}", plans.plan),
            get("/violations", plans.violations),
            get("/people", people.queue),
            get("/people/+next", people.following),
            get("/people/{case}", people.case),
            post("/people/{case}", people.decide),
            get("/merges", people.merges),
            get("/merges/{merge}", people.merge),
            post("/merges/{merge}/undo", people.undo),
            get("/quality", quality.report),
            get("/corrections", quality.queue),
            post("/corrections", quality.decide),
        ]

    def _officer_routes(self, get: Made, post: Made) -> list[Route]:
        """The pages about customers, their requests and choices, and about the policy."""
        lookup, requests, consents, failed = self._lookup, self._requests, self._consents, self._failed
        return [
            get("/customers", lookup.form),
            post("/customers", lookup.find),
            get("/customers/{name}", lookup.customer),
            *(get(f"/customers/{{name}}/{each}", lookup.listing(each)) for each in LISTINGS),
            get("/customers/{name}/requests", self._requests_of.listing),
            get("/requests", requests.queue),
            get("/requests/+new", requests.new),
            post("/requests/+new", requests.open),
            get("/requests/{request}", requests.one),
            post("/requests/{request}", requests.act),
            get("/requests/{request}/copy", requests.copy),
            get("/consents", consents.counts),
            get("/consents/{name}", consents.ledger),
            get("/consents/{name}/{entry}/receipt", consents.receipt),
            get("/matrix", self._matrix.matrix),
            get("/processing", self._processing.page),
            get("/processing/file/{form}", self._processing.file),
            get("/failed", failed.listing),
            post("/failed", failed.retry),
        ]


__all__ = ["Console"]
