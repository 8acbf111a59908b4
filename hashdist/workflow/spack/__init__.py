"""Spack beside a store: captured host software as its externals, and its environments as profiles."""
