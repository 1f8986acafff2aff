"""Streaming signal processing for intraoperative neuromonitoring."""
