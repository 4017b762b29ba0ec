"""Joins two profiles that are one person, and takes them apart again."""
