"""The certificates of erasures, for whoever knows their id."""

from server.certificates.serving import certificate_routes

__all__ = ["certificate_routes"]
