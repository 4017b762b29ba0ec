"""A database client that counts what is sent to the server, without the lease's own heartbeat."""

from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener

_HEARTBEAT = frozenset({"processes", "control"})
_NO_COLLECTION = frozenset({"hello", "ping", "endSessions", "isMaster", "ismaster", "dropDatabase", "buildInfo"})


class Commands(CommandListener):
    """The commands since `clear`, each as `find profiles`."""

    def __init__(self):
        self.sent = []

    def started(self, event):
        name = event.command_name
        collection = event.command.get("collection" if name == "getMore" else name)
        if name not in _NO_COLLECTION and collection not in _HEARTBEAT:
            self.sent.append(f"{name} {collection}")

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    def taken(self):
        """The commands so far, which are then forgotten."""
        sent, self.sent = self.sent, []
        return sent


def counting_client(uri):
    commands = Commands()
    return AsyncMongoClient(uri, tz_aware=True, event_listeners=[commands]), commands
