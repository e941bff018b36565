"""The fault harness: real processes, a real queue and database, real git over HTTP, and what is broken on purpose.

`make faults` runs every row of the matrix and writes the table of docs/reliability.md; `test_faults.py` runs the quick ones.
"""
