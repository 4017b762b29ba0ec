"""Webhooks in: Shopify, Stripe, Standard Webhooks and CloudEvents."""

from server.webhooks.mounting import privacy_intake, webhook_routes

__all__ = ["privacy_intake", "webhook_routes"]
