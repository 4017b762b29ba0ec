"""Events over HTTP: the tracking API of Segment, so that its SDKs and RudderStack's work as they are."""

from server.collection.mounting import collection_routes

__all__ = ["collection_routes"]
