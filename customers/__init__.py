"""What the platform does for people who work with customers; one folder per area.

Each area has `model.py` (pure types and rules), `service.py` (the use cases) and `store.py` (documents). Areas import
in one order: rights → collection → profiles → identity, consent.
"""
