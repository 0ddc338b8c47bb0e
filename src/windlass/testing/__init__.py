"""Doubles and local servers for tests of Windlass and of workflows built on it. Nothing here is used in a run."""
