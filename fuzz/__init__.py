"""Fuzzing: harnesses as plain functions, and what runs them. See docs/how-to/fuzz.md."""
