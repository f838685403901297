"""One script a question; a package by name, since others install one that is called so too."""
