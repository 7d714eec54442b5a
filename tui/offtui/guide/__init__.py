"""The guide: the small language model that ships with offtui, its corpus and its training."""
