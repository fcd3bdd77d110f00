"""One graph on WebGPU: `python provider.py GRAPH INPUTS.npz OUT` in the virtual environment of it.

Writes `OUT.npz`, the outputs, and `OUT.json`, the number of nodes by operator and provider.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime

PROVIDERS = ["WebGpuExecutionProvider", "CPUExecutionProvider"]


def main(graph, given, out):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = out
    session = onnxruntime.InferenceSession(graph, options, providers=PROVIDERS)
    if PROVIDERS[0] not in session.get_providers():
        sys.exit("no WebGPU device")
    names = [output.name for output in session.get_outputs()]
    with np.load(given) as inputs:
        results = session.run(names, dict(inputs))
    np.savez(f"{out}.npz", **dict(zip(names, results, strict=True)))
    events = json.loads(Path(session.end_profiling()).read_text())
    placed = Counter(
        f"{event['args']['provider']} {event['args']['op_name']}"
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )
    Path(f"{out}.json").write_text(json.dumps(placed))


if __name__ == "__main__":
    main(*sys.argv[1:])
