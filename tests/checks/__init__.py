"""Right and wrong answers to the checks: one module for each module of `natlib.teach.checks`.

Each holds two tables: `RIGHT`, a check's name to right answers, written differently from the
solutions, of which the first is also tried in other styles; and `WRONG`, a check's name to at least
six typical mistakes, each with what it is called, the answer, and a pattern that the check's
message must match.
"""
