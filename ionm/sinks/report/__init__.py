"""The report of a case: one HTML page with words, tables and pictures, and nothing outside it."""

from ionm.sinks.report.page import Heading, Report

__all__ = ["Heading", "Report"]
