"""The language server: speaks LSP to an editor and HTTP to the service, and knows nothing else."""
