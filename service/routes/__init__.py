"""Routes: how the service is reached over HTTP. Generated text comes to them from the pipeline alone."""
