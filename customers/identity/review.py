"""The queue of cases that a person has to decide."""
