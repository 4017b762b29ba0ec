"""The portal: where customers see what is known of them, and decide over it."""

from server.portal.mounting import portal_of

__all__ = ["portal_of"]
