"""The failures that a command tells in one line; anything else is a fault of ours, and told with its trace."""

from pymongo.errors import PyMongoError

from audit import AuditError
from customers.errors import CustomersError
from policies import PoliciesError
from server.errors import ServerError
from vault import VaultError

EXPECTED = (AuditError, CustomersError, OSError, PoliciesError, PyMongoError, ServerError, VaultError)
