"""Policies: who may do what with which field, why. Pure: no database, no network."""

from policies.catalogue import Catalogue, Field
from policies.decisions import Alternative, FieldGrant, Grant, PolicySet
from policies.errors import (
    Fault,
    PoliciesError,
    PolicyInvalidError,
    UnknownFieldError,
    UnknownPurposeError,
    UnknownRoleError,
)
from policies.explain import Explanation, explain
from policies.lint import Finding, FindingKind, Severity, check, check_directory
from policies.loading import load_policies
from policies.masks import HIDDEN, mask_value
from policies.matrix import Cell, Matrix, MatrixRow, matrix, matrix_table
from policies.matrix_page import matrix_html
from policies.retention import RetentionRule
from policies.rules import Rule
from policies.vocabulary import (
    ROOT_CATEGORY,
    Action,
    Effect,
    FieldKind,
    LawfulBasis,
    Mask,
    Purpose,
    Reason,
    Role,
    Scope,
    Verdict,
)

__all__ = [
    "HIDDEN",
    "ROOT_CATEGORY",
    "Action",
    "Alternative",
    "Catalogue",
    "Cell",
    "Effect",
    "Explanation",
    "Fault",
    "Field",
    "FieldGrant",
    "FieldKind",
    "Finding",
    "FindingKind",
    "Grant",
    "LawfulBasis",
    "Mask",
    "Matrix",
    "MatrixRow",
    "PoliciesError",
    "PolicyInvalidError",
    "PolicySet",
    "Purpose",
    "Reason",
    "RetentionRule",
    "Role",
    "Rule",
    "Scope",
    "Severity",
    "UnknownFieldError",
    "UnknownPurposeError",
    "UnknownRoleError",
    "Verdict",
    "check",
    "check_directory",
    "explain",
    "load_policies",
    "mask_value",
    "matrix",
    "matrix_html",
    "matrix_table",
]
