"""The people whom a batch is about, as they become while the rules decide one item of it after the other; no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from customers.identity.model import Identifier
from customers.identity.proving import proved
from customers.identity.rules import Case, Decision, Identified, Person, decide


@dataclass
class Register:
    """The people whom a batch is about, as they become while its items are decided one after the other.

    Attributes:
        people: Everybody, by id; people to be made have ids that `new_person` gives.
        made: Who has to be made.
        gained: What people there are gain; `lost` what they give up.
        absorbed: Visitors there are, by id, and into whom they go.
        proved: What people there have that was proved.
        cases: What a person has to decide.
    """

    people: dict[str, Person]
    made: dict[str, None] = field(default_factory=dict)
    gained: dict[str, list[Identifier]] = field(default_factory=dict)
    lost: dict[str, list[Identifier]] = field(default_factory=dict)
    absorbed: dict[str, str] = field(default_factory=dict)
    proved: dict[str, set[Identifier]] = field(default_factory=dict)
    cases: dict[Case, None] = field(default_factory=dict)
    _owner: dict[Identifier, str] = field(default_factory=dict)
    _became: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, people: Iterable[Person]) -> "Register":
        """A register of people there are."""
        found = {each.id: each for each in people}
        return cls(found, _owner={held: each.id for each in found.values() for held in each.identifiers})

    def place(self, item: Identified) -> str | None:
        """Whose an item is, once everything that follows from it is noted; None where nothing says whose."""
        claimed = item.claimed
        if claimed and not item.earlier:
            known = self._owner.get(claimed[0])
            if known is not None and all(self._owner.get(each) == known for each in claimed):
                self._prove(known, item)
                return known  # as nearly always: all of it is one person's, and nothing follows
        owners = {each: self.people[self._owner[each]] for each in item.all if each in self._owner}
        decision = decide(item, owners)
        if decision is None:
            return None
        customer_id = decision.person
        if customer_id is None:
            customer_id = f"new {len(self._became) + len(self.people)}"
            self.made[customer_id] = None
            self.people[customer_id] = Person(customer_id, ())
        self._change(customer_id, decision)
        self._prove(customer_id, item)
        for visitor in decision.absorb:
            self._absorb(visitor, customer_id)
        for kind, other, by in decision.cases:
            pair = {customer_id} if other is None else {customer_id, other}
            self.cases[Case(kind, tuple(sorted(pair)), by)] = None
        return customer_id

    def settled(self, customer_id: str) -> str:
        """Who somebody has become."""
        while customer_id in self._became:
            customer_id = self._became[customer_id]
        return customer_id

    def _prove(self, customer_id: str, item: Identified) -> None:
        """Note that a believed sender says what only others have said of somebody."""
        person = self.people[customer_id]
        if not item.proven or all(each.proven for each in person.own):
            return
        named = {each for each in person.own if not each.proven and each in item.claimed}
        if named:
            self.people[customer_id] = replace(person, own=proved(person.own, named))
            self.proved.setdefault(customer_id, set()).update(named)
            self.gained.setdefault(customer_id, [])

    def _change(self, customer_id: str, decision: Decision) -> None:
        person = self.people[customer_id]
        kept = tuple(each for each in person.own if each not in decision.demote)
        self.people[customer_id] = replace(person, own=(*kept, *decision.add))
        for each in decision.add:
            self._owner[each] = customer_id
        for each in decision.demote:
            del self._owner[each]
        if customer_id in self.made:
            return
        gained = self.gained.setdefault(customer_id, [])
        self.lost.setdefault(customer_id, []).extend(each for each in decision.demote if each not in gained)
        self.gained[customer_id] = [each for each in gained if each not in decision.demote] + list(decision.add)

    def _absorb(self, visitor: str, customer_id: str) -> None:
        gone, person = self.people.pop(visitor), self.people[customer_id]
        self._became[visitor] = customer_id
        for each in gone.identifiers:
            self._owner[each] = customer_id
        if visitor in self.made:
            # Nobody has been made yet, so there is nothing to merge.
            del self.made[visitor]
            self.people[customer_id] = replace(person, own=(*person.own, *gone.own))
            if customer_id not in self.made:
                self.gained.setdefault(customer_id, []).extend(gone.own)
            return
        self.absorbed[visitor] = customer_id
        inherited = (*person.inherited, *gone.identifiers)
        self.people[customer_id] = replace(person, inherited=inherited, parts=person.parts + gone.parts + 1)
