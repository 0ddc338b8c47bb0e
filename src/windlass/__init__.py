"""Windlass: coding and writing workflows made of steps, run by language models."""

__version__ = "0.1.0"
