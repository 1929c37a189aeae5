"""Measures the base by what the judge sees in its pictures, and draws sample sheets."""
