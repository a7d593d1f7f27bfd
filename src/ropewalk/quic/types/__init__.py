"""Values and interfaces that every other part of the core shares."""
