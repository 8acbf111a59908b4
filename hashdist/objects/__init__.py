"""Objects: immutable, found by hash. Trees, blobs and commits of git, and what hashdist writes into them."""
