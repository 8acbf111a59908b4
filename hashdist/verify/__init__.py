"""Tell whether the store is what it says: every object, ref, record and file is looked at, nothing is changed."""
