"""Causal filters, one method a file."""
