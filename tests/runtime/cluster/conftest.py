"""Ray's own test cluster, for all tests that want one."""

import os
from pathlib import Path

import pytest
from drawn_work import LOOPBACK


@pytest.fixture(scope="session")
def nodes():
    """Two simulated nodes of two cores each."""
    pytest.importorskip("ray", reason="needs the extra 'cluster'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")  # of a machine that is busy
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **LOOPBACK})
        cluster.add_node(num_cpus=2, **LOOPBACK)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def joined(nodes):
    from runtime.cluster.ray_place import Connection

    with Connection(nodes.address, False):
        yield nodes
