"""For what only a machine that does nothing else can tell."""

import os

import pytest


def needs_a_quiet_machine():
    """Skip where more wants to run than there are cores."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    if load > cores:
        pytest.skip(f"a machine that is busy tells nothing: {load:.1f} wait for {cores} cores")
