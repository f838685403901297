"""Engines: where text comes from. Nothing here knows the guard; nothing here reaches a client by itself."""
