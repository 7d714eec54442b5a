"""Whole screens: the main one, which routes, and the two that open over it."""
