"""The report: a run folder becomes one page."""
