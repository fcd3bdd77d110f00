"""Limits of time on a machine that may do other work as well."""

import os


def allowed(limit):
    """`limit`, as long as nothing else runs; else as much longer as others want to run, too."""
    return limit * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
