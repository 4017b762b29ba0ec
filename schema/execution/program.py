"""Writes the Python of one plan: a function for each object that is selected, and one for each field that needs it.

    def object_3(x, o, p):        # x the request, o the object, p where it stands
        w = None                  # what has to be awaited, by name
        try:
            try:
                v0 = o.text
            except Exception:
                v0 = raised()     # that is the field's value, and graphql-core says so
            if type(v0) is not str and v0 is not None:
                v0, w = x.odd(site_4, v0, p, w)
            a = {'text': v0, '__typename': 'Thing'}
            if w is not None: a = gathered(a, w)
        except Exception:
            if w is not None: x.settle_in_background([*w.values()])
            raise
        return a

Where a path is needed it is made of the tuples `p` consists of, so an answer without errors makes none. A list of
objects has the body of its object inside its loop. Everything that comes from a document or a schema stands in the code
as a literal that `repr` wrote, or under a name made here; nothing of it is code.
"""

from collections.abc import Mapping
from keyword import iskeyword
from math import isfinite
from sys import exception
from types import CoroutineType
from typing import Any, Final

import msgspec
from graphql import (
    GraphQLAbstractType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    is_abstract_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from schema.execution.leaves import ANSWERS, VALUES, check
from schema.execution.plain import Trusted, attribute_of, is_told_by_cast, runtime_type
from schema.execution.site import Collect, Site, as_path, gathered, gathered_struct, wait

Key = tuple[Any, ...]
_MOST_KINDS: Final = 64
_MOST_LISTS: Final = 3  # inside one another; Python allows 20 blocks to be nested, and each list takes three


class Program:
    """The generated code of one plan, written as it is needed.

    Args:
        schema: whose types are selected.
        collect: gives the fields selected below a field, for one type.
        structs: whether objects are answered as structs, which only become JSON, and not as dicts.
        most: how many fields are written at the most; whatever is selected beyond them is graphql-core's.
    """

    def __init__(self, schema: GraphQLSchema, collect: Collect, *, structs: bool, most: int) -> None:
        self.fields = 0
        self.source = ""
        self.schema = schema
        self._collect = collect
        self._structs = structs
        self._most = most
        self._objects: dict[Key, str | None] = {}
        self._completions: dict[Key, str | None] = {}
        self._waiting: list[str] = []
        self._completed: list[tuple[Site, str]] = []
        self._names: dict[str, Any] = {
            "ANSWERS": ANSWERS,
            "Coroutine": CoroutineType,
            "Path": Path,
            "VALUES": VALUES,
            "as_path": as_path,
            "gathered": gathered_struct if structs else gathered,
            "gathered_list": gathered,
            "isfinite": isfinite,
            "raised": exception,
            "uncast": uncast,
            "wait": wait,
        }

    def object(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> Any:
        """The function that answers an object of this type with these fields; None where graphql-core answers it."""
        name = self._object(type_, fields)
        self._load()
        return None if name is None else self._names[name]

    def _load(self) -> None:
        if self._waiting:
            text = "\n\n".join(self._waiting)
            self._waiting = []
            self.source += f"{text}\n\n"
            exec(compile(text, "<compiled query>", "exec"), self._names)  # noqa: S102 - its own text, see above
        for site, name in self._completed:
            site.function = self._names[name]
        self._completed.clear()

    def _keep(self, prefix: str, value: Any) -> str:
        name = f"{prefix}_{len(self._names)}"
        self._names[name] = value
        return name

    def _function(self, name: str, parameters: str, lines: list[str]) -> None:
        self._waiting.append("\n".join([f"def {name}({parameters}):", *_in(lines)]))

    def _object(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> str | None:
        key = (type_.name, *((name, *_nodes(details)) for name, details in fields.items()))
        if key not in self._objects:
            self._objects[key] = None
            body = self._body(type_, fields, "p")
            if body is not None:
                name = self._objects[key] = self._keep("object", None)
                self._function(name, "x, o, p", [*body, "return a"])
        return self._objects[key]

    def _body(self, type_: GraphQLObjectType, fields: GroupedFieldSet, p: str) -> list[str] | None:
        """Lines that answer the object `o` at `p` as `a`; None where graphql-core does."""
        self.fields += len(fields)
        if type_.name.startswith("__") or self.fields > self._most:
            return None
        lines: list[str] = []
        answers: dict[str, str] = {}
        for place, (name, details) in enumerate(fields.items()):
            if details[0].node.name.value == "__typename":
                answers[name] = repr(type_.name)
                continue
            v = answers[name] = f"v{place}"
            definition = self.schema.get_field(type_, details[0].node.name.value)
            if definition is None:
                return None
            site = Site(type_, name, details, definition)
            if self._structs:
                site.key = f"f{place}"
            lines += self._field(site, v, p)
        ends = [
            f"a = {self._answer(answers)}",
            "if w is not None:",
            "    a = gathered(a, w)",
        ]
        return [
            "w = None",
            "try:",
            *_in([*lines, *ends]),
            "except Exception:",
            "    if w is not None:",
            "        x.settle_in_background([*w.values()])",
            "    raise",
        ]

    def _answer(self, answers: Mapping[str, str]) -> str:
        if not self._structs:
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in answers.items()) + "}"
        names = {f"f{place}": name for place, name in enumerate(answers)}
        made = msgspec.defstruct("Answer", [(name, Any) for name in names], rename=names, gc=False)
        return f"{self._keep('struct', made)}({', '.join(answers.values())})"

    def _field(self, site: Site, v: str, p: str) -> list[str]:
        waits = [f"if type({v}) is Coroutine:", f"    w = wait(w, {site.key!r}, {v})"]
        attribute = attribute_of(site.definition)
        if attribute is None:
            completion = self._completion(site)
            if completion is not None:
                self._completed.append((site, completion))
            return [f"{v} = {self._keep('site', site)}.resolve(x, o, {p})", *waits]
        read = (
            f"o.{attribute}"
            if attribute.isidentifier() and not iskeyword(attribute)
            else f"getattr(o, {attribute!r})"
        )
        lines = ["try:", f"    {v} = {read}", "except Exception:", f"    {v} = raised()"]
        kept = self._keep("site", site)
        odd = [f"{v}, w = x.odd({kept}, {v}, {p}, w)"]
        checked = check(site.named, v, odd, self._keep, nullable=site.nullable)
        if checked is not None:
            return lines + checked
        completion = self._completion(site)
        if completion is None:
            return lines + odd
        called = [f"{v} = {completion}(x, {v}, {p})", *waits]
        return lines + ([f"if {v} is not None:", *_in(called)] if site.nullable else called)

    def _completion(self, site: Site) -> str | None:
        """The name of the function that answers a field's value; None where graphql-core does."""
        key = (site.parent.name, site.name, *_nodes(site.details))
        if key not in self._completions:
            self._completions[key] = None
            lines = self._completing(site)
            if lines is not None:
                name = self._completions[key] = self._keep("field", None)
                self._function(name, "x, v, p", lines)
        return self._completions[key]

    def _completing(self, site: Site) -> list[str] | None:
        kept = self._keep("site", site)
        checked = check(site.named, "v", [f"v = x.completed({kept}, v, p)"], self._keep, nullable=site.nullable)
        if checked is not None:
            return [*checked, "return v"]
        if isinstance(site.named, GraphQLList):
            ready: list[str] = []
            expected = "type(v) is list or type(v) is tuple"
            value = self._list(site, kept, site.named, "v", "here", 0)
        else:
            ready, expected = self._trust(site.named, site.details, "v")
            value = self._one(site.named, site.details, "v", "here")
        if value is None:
            return None
        # Where resolvers are told their path, the way to here is made once and not for each of them.
        above = "as_path(p)" if any(".resolve(" in line for line in value) else "p"
        return [
            *(["if v is None:", "    return None"] if site.nullable else []),
            *ready,
            f"if not ({expected}):",
            f"    return x.completed({kept}, v, p)",
            f"here = ({above}, {site.name!r}, {site.parent.name!r})",
            "try:",
            *_in(value),
            "except Exception as e:",
            f"    return x.failed({kept}, {kept}.type, e, here)",
            "if type(a) is Coroutine:",
            f"    return x.awaited({kept}, {kept}.type, a, here)",
            "return a",
        ]

    def _trust(self, type_: Any, details: FieldDetailsList, v: str) -> tuple[list[str], str]:
        """Lines, and then the condition under which `v` is an object that the generated code may answer."""
        if is_abstract_type(type_):
            kinds = self._keep("kinds", Kinds(self, type_, details))
            return [f"q = {kinds}.get(type({v})) or {kinds}.learn({v})"], f"q is not None and uncast({v})"
        trusted = self._keep("trusted", Trusted(type_))
        known = f"type({v}) in {trusted} or {trusted}.learn({v})"
        return [], f"({known}) and uncast({v})" if is_told_by_cast(type_) else known

    def _one(self, type_: Any, details: FieldDetailsList, v: str, p: str) -> list[str] | None:
        """Lines that answer the trusted object `v` at `p` as `a`."""
        if is_abstract_type(type_):
            return [f"a = q(x, {v}, {p})"]
        fields = self._below(type_, details)
        name = None if fields is None else self._object(type_, fields)
        return None if name is None else [f"a = {name}(x, {v}, {p})"]

    def _below(self, type_: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet | None:
        try:
            return self._collect(type_, details)
        except Exception:  # noqa: BLE001 - graphql-core collects them again, and says what is wrong
            return None

    def below(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Any:
        """The function that answers an object of this type with what is selected below a field; None as `object`."""
        fields = self._below(type_, details)
        return None if fields is None else self.object(type_, fields)

    def _list(self, site: Site, kept: str, type_: Any, v: str, here: str, level: int) -> list[str] | None:
        """Lines that answer the list `v` at `here` as `a`."""
        item = type_.of_type
        nullable = not isinstance(item, GraphQLNonNull)
        named = item if nullable else item.of_type
        items, waited, iterator = f"b{level}", f"w{level}", f"i{level}"
        p = f"({here}, len({items}), None)"
        ready: list[str] = []
        if level > _MOST_LISTS:
            return None
        if isinstance(named, GraphQLList):
            o = f"n{level}"
            expected = f"type({o}) is list or type({o}) is tuple"
            below = self._list(site, kept, named, o, f"h{level}", level + 1)
            answer = None if below is None else [f"h{level} = {p}", *below]
        elif isinstance(named, GraphQLObjectType):
            o = "o"
            ready, expected = self._trust(named, site.details, o)
            fields = self._below(named, site.details)
            answer = None if fields is None else self._body(named, fields, p)
        elif is_abstract_type(named):
            o = "o"
            ready, expected = self._trust(named, site.details, o)
            answer = self._one(named, site.details, o, p)
        else:
            return None
        if answer is None:
            return None
        kind = self._keep("type", item)
        each = [
            *ready,
            f"if {expected}:",
            "    try:",
            *_in(_in(answer)),
            "    except Exception as e:",
            f"        a = x.failed({kept}, {kind}, e, {p})",
            "    if type(a) is Coroutine:",
            f"        a = x.awaited({kept}, {kind}, a, {p})",
            f"        {waited} = wait({waited}, len({items}), a)",
            *([f"elif {o} is None:", "    a = None"] if nullable else []),
            "else:",
            f"    a = x.item({kept}, {kind}, {o}, {p})",
            "    if type(a) is Coroutine:",
            f"        {waited} = wait({waited}, len({items}), a)",
            f"{items}.append(a)",
        ]
        return [
            f"{items} = []",
            f"{waited} = None",
            f"{iterator} = iter({v})",
            "try:",
            f"    for {o} in {iterator}:",
            *_in(_in(each)),
            "except Exception:",
            f"    x.leave({waited}, {iterator})",
            "    raise",
            f"a = {items} if {waited} is None else gathered_list({items}, {waited})",
        ]


class Kinds(dict[type, Any]):
    """The functions that answer objects of an abstract type, by their class, made when the class is first seen."""

    def __init__(self, program: Program, type_: GraphQLAbstractType, details: FieldDetailsList) -> None:
        super().__init__()
        self._program = program
        self._type = type_
        self._details = details

    def learn(self, value: Any) -> Any:
        """The function for the class of `value`; None where graphql-core has to say which type it is of."""
        kind = type(value)
        found = runtime_type(self._program.schema, self._type, kind)
        function = None if found is None else self._program.below(found, self._details)
        if function is not None and len(self) < _MOST_KINDS:
            self[kind] = function
        return function


def uncast(value: Any) -> bool:
    """Whether an object says nothing of itself about its type."""
    try:
        return getattr(value, TYPE_CAST_ATTRIBUTE, None) is None
    except Exception:  # noqa: BLE001 - graphql-core asks again, and says what is wrong
        return False


def _in(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _nodes(details: FieldDetailsList) -> tuple[int, ...]:
    return tuple(id(each.node) for each in details)
