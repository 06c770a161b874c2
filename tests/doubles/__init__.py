"""Doubles of services that no test can reach."""
