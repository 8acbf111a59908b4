"""Packages as others write them down, for a stack file: pip's requirements, conda's explicit lists, easyconfigs."""
