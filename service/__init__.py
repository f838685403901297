"""The completion service: accounts, engines, the pipeline through the guard, HTTP and the command line."""
