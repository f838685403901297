"""The leakage guard: decides whether a generated text may leave, by comparing it with a keyed index of code.

Knows no HTTP, no model and no accounts.
"""
