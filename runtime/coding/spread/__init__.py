"""Codings on other places than this process, and codings made of several."""
