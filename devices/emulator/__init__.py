"""A Neon Companion phone on this computer, for tests and demonstrations: one that misbehaves."""
