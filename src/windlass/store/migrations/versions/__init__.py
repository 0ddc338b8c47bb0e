"""One migration a file; the file's name is its revision."""
