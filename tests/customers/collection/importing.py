"""Imports into a world of `tests.schema.world`: a file in, the report and the databases out."""

from customers.collection import ImportKind, UnknownCustomers, import_rows, parse_mapping
from customers.collection.counted_import import Importing, OrderImportWriter, Parts, TicketImportWriter
from customers.collection.service import ImportWriter
from tests.schema.world import utc_now

ORDERS = {
    "mail": "email",
    "no": "order_number",
    "placed": "placed_at",
    "total": "total",
    "currency": "currency",
    "status": "status",
    "back": "refunded",
    "sku": "item.sku",
    "qty": "item.quantity",
    "price": "item.price",
}
TICKETS = {
    "mail": "email",
    "no": "ticket_number",
    "opened": "opened_at",
    "closed": "closed_at",
    "status": "status",
    "subject": "subject",
    "body": "body",
}


def parts_of(world, database=None):
    return Parts(
        database if database is not None else world.main,
        world.store,
        world.writer,
        world.vault,
        policies=lambda: world.policies,
        now=utc_now,
    )


def writer_of(world, of, *, file="file", source=None, create=False, role=("client_app", "data_import"), parts=None):
    access = world.access(*role)
    profiles = ImportWriter(world.writer, world.vault, access, now=utc_now, source=file)
    kind = OrderImportWriter if of is ImportKind.ORDERS else TicketImportWriter
    return kind(parts or parts_of(world), access, Importing(file, source, profiles if create else None))


async def imported(world, path, of, columns, *, batch=100, file=None, source=None, writer=None, **settings):
    """Import a file as the command does; the name of a file is new with its content unless it is given."""
    settings = {"unknown_columns": "extra", **settings}
    mapping = parse_mapping({"columns": columns, **settings}, consent_purposes=frozenset(), of=of)
    create = mapping.unknown_customers is UnknownCustomers.CREATE
    name = file or str(hash(path.read_bytes()))
    found = writer or writer_of(world, of, file=name, source=source, create=create)
    return await import_rows(path, mapping, found, now=utc_now, batch=batch)


def written(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def faults(path):
    """What the errors file says: the row, the column and the reason of each."""
    found = path.with_name(f"{path.name}.errors.csv")
    if not found.exists():
        return []
    cells = [line.split(",") for line in found.read_text().splitlines()[1:]]
    return [(int(row), column, reason) for row, _, column, reason, *_ in cells]


async def sums(world, customer_id):
    """What a profile counts, beside what its orders and tickets come to when they are added up anew."""
    profile = await world.main["profiles"].find_one({"_id": customer_id})
    orders = await world.main["orders"].find({"customer_id": customer_id}).to_list(None)
    tickets = await world.main["tickets"].find({"customer_id": customer_id}).to_list(None)
    placed = sorted(each["placed_at"] for each in orders)
    mine = [each for each in orders if each["currency"] == profile.get("currency")]
    anew = {
        "order_count": len(orders),
        "total_spent": sum(each["total"] - each.get("refunded", 0) for each in mine),
        "first_order_at": placed[0] if placed else None,
        "last_order_at": placed[-1] if placed else None,
        "ticket_count": len(tickets),
    }
    found = {name: profile.get(name) for name in anew}
    assert sorted(each["ordinal"] for each in orders) == list(range(1, len(orders) + 1))
    assert sorted(each["ordinal"] for each in tickets) == list(range(1, len(tickets) + 1))
    return found, anew
