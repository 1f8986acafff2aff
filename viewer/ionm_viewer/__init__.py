"""The screen of a running or recorded case: a pure client of ``ionm``'s published events."""
