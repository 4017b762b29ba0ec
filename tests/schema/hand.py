"""What a person reads out of the policy files about one role and purpose, for each customer of the town."""

import tomllib

from policies.source import read_sources
from tests.schema.selections import READING, fields_of

SOURCES = read_sources()
CATALOGUE = tomllib.loads(SOURCES["catalogue.toml"].decode())
PURPOSES = tomllib.loads(SOURCES["purposes.toml"].decode())
REGION = "emea"  # whose customers the caller of a region-scoped role may see
ROLES = tuple(tomllib.loads(SOURCES["roles.toml"].decode()))
FIELDS = {name: fields_of(name) for name in ("Profile", "Order", "Ticket")}
CONSENTED = {
    "agreed": {"marketing", "email_marketing", "personalisation"},
    "emailed": {"email_marketing"},
    "abroad": {"marketing", "email_marketing", "personalisation"},
    "bare": {"marketing", "email_marketing", "personalisation"},
}
OBJECTED = {"objecting": {"marketing", "analytics", "sales"}, "stocked": {"inventory_planning"}}


def lineage(purpose):
    while purpose:
        yield purpose
        purpose = PURPOSES[purpose].get("parent")


def said(purpose, key):
    """A purpose's own word, or the nearest one above it."""
    return next((PURPOSES[each][key] for each in lineage(purpose) if key in PURPOSES[each]), False)


def rights_refusal(who, purpose):
    basis = said(purpose, "basis")
    if who == "restricted" and not said(purpose, "survives_restriction"):
        return "RESTRICTED"
    if basis in ("consent", "legitimate_interests") and OBJECTED.get(who, set()) & set(lineage(purpose)):
        return "OBJECTION"
    if basis == "consent" and purpose not in CONSENTED.get(who, set()):
        return "CONSENT"
    return None


class Hand:
    """The policy as a person reads it, for one role and purpose; the caller is `agreed` where a customer asks."""

    def __init__(self, role, purpose):
        self.role, self.purpose = role, purpose

    def best(self, path):
        """The best verdict that anybody's field comes to."""
        for verdict, action in (("clear", "read"), ("masked", "read_masked")):
            if any(self.shows(path, action, scope) for scope in ("any", "region", "own")):
                return verdict
        return "withheld"

    def verdict(self, path, who):
        """The verdict for one customer's field, and why it is less than the best."""
        best = self.best(path)
        if best == "withheld":
            return "withheld", None
        if reason := rights_refusal(who, self.purpose):
            return "withheld", reason
        for verdict, action in (("clear", "read"), ("masked", "read_masked")):
            if any(self.shows(path, action, scope) for scope in self._scopes_of(who)):
                return verdict, None if verdict == best else "SCOPE"
        return "withheld", "SCOPE"

    def listed(self, who):
        """Whether a list of profiles has this customer: somebody of whom the policy never shows anything is not."""
        paths = FIELDS["Profile"].values()
        scopes = {scope for path in paths for scope in ("any", "region", "own") if self._shown(path, scope)}
        if "any" in scopes:
            return True
        return who == "agreed" and self.role == "customer" and "own" in scopes

    def may_filter(self, path, who):
        """Whether a query may use this customer's field."""
        scopes = self._scopes_of(who)
        return rights_refusal(who, self.purpose) is None and any(self.shows(path, "filter", each) for each in scopes)

    def _scopes_of(self, who):
        scopes = ["any"]
        scopes += ["region"] if who not in ("abroad", "stocked", "bare") else []
        scopes += ["own"] if self.role == "customer" and who == "agreed" else []
        return scopes

    def _shown(self, path, scope):
        return self.shows(path, "read", scope) or self.shows(path, "read_masked", scope)

    def shows(self, path, action, scope):
        if self.role == "break_glass":  # taken from whoever brings it: it comes with an opening alone
            return False
        owner, name = path.split(".")
        category = CATALOGUE[owner][name]["category"]
        if action == "read_masked" and "mask" not in CATALOGUE[owner][name]:
            return False
        return READING.allows([self.role], self.purpose, category, action, scope)
