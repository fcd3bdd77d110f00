"""Runs beside each other and beside published results: tables, tests, charts."""
