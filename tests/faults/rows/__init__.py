"""The rows of the matrix, a subject a file; each is found by being here."""
