"""Code that others have published: pinned by hash, fetched by their registries' clients, verified, unpacked."""
