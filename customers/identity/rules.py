"""Whose an event is, by what it says of them."""
