"""Runs Confide: settings, wiring, the HTTP application, the worker and the command line."""
