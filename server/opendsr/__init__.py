"""OpenDSR: controllers send privacy requests, follow them, and are told how they end."""

from server.opendsr.callbacks import call_back
from server.opendsr.routes import opendsr_routes
from server.opendsr.store import OpenDsrStore

__all__ = ["OpenDsrStore", "call_back", "opendsr_routes"]
