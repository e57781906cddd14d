"""Right and wrong answers to the checks: one module for each module of `natlib.teach.checks`.

Each holds two tables: `RIGHT`, a check's name to right answers, written differently from the
solutions; and `WRONG`, a check's name to at least three typical mistakes, each with what it is
called, the answer, and a pattern that the check's message must match.
"""
