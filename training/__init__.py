"""Training of the shared model. Knows the guard's corpora, not the service."""
