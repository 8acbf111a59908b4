"""Mend what verifying found, as far as it can be proved; what is damaged is moved aside first, never deleted."""
