"""Grading: programs run apart from the grader, and become verdicts and pass@k."""
