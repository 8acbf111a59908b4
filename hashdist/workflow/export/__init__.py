"""Profiles for those who have no hashdist: as archives, images, recipes of containers, and bills of materials."""
