"""The steps that workflows are made of."""
