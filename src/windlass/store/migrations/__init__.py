"""The schema's story: ``versions/m001_…``, ``m002_…``, read in order. :mod:`windlass.store.migrate` runs them."""
