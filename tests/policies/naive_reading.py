"""A third reading of the policy files, as a person would do it by hand: line by line, nothing compiled, and nothing
shared with the package under test or with Casbin."""

import csv
import io
import tomllib


class NaiveReading:
    def __init__(self, sources):
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(sources["rules.csv"].decode()))
            if row and not row[0].lstrip().startswith("#")
        ]
        self.rules = [row[1:] for row in rows if row[0] == "p"]
        self.inherits = [(row[1], row[2]) for row in rows if row[0] == "g"]
        self.purposes = tomllib.loads(sources["purposes.toml"].decode())
        self.categories = list(tomllib.loads(sources["catalogue.toml"].decode())["categories"])
        self.roles = list(tomllib.loads(sources["roles.toml"].decode()))

    def allows(self, roles, purpose, category, action, scope):
        held = set(roles)
        while more := {parent for role, parent in self.inherits if role in held} - held:
            held |= more
        why = {purpose}
        while "parent" in self.purposes[purpose]:
            purpose = self.purposes[purpose]["parent"]
            why.add(purpose)
        matching = [
            rule
            for rule in self.rules
            if (rule[0] == "*" or rule[0] in held)
            and (rule[1] == "*" or rule[1] in why)
            and (category == rule[2] or category.startswith(rule[2] + "."))
            and self._is_about(rule, action)
            and rule[4] in ("any", scope)
        ]
        effects = {rule[5] for rule in matching}
        return "allow" in effects and "deny" not in effects

    def _is_about(self, rule, action):
        if rule[3] in ("*", action):
            return True
        return rule[3] == "read_masked" and rule[5] == "deny" and action == "read"
