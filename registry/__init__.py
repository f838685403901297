"""Signed releases of models: what one consists of, who may sign it, what was withdrawn, and where they are kept."""
