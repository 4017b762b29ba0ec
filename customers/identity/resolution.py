"""Finds or makes the person that each item of a batch is about."""
