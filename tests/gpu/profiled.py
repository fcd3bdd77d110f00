"""Where the nodes of a bundle ran on WebGPU: `python profiled.py BUNDLE` prints a JSON object.

`nodes`: how many of each graph, by provider, copies apart. `computed`: operators on the host whose
result is of floats. `fetched`: [graph, type, shape] of floats that were copied to the host within a
graph. `step` and `question`: [graph, output] of what came back to the host while a step was encoded
and prefilled, and while a question was asked.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import read_vectors
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.device_engine import MOVERS
from runtime.engines.engine import PROVIDERS
from runtime.engines.tensors import DeviceTensor
from runtime.engines.webgpu import FLOATS, WebGpuEngine
from runtime.model.models import Models

ROOM = 120  # tokens


class ProfiledEngine(WebGpuEngine):
    """Profiles every run, and notes what it hands to the host."""

    def __init__(self, path, graph, webgpu, folder):
        self.graph, self.folder, self.returned = graph, folder, []
        super().__init__(path, graph, webgpu)
        self._first, self._profiles = self._profiles, None  # it goes on after the first run

    def _choose(self, options):
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self.folder) / self.graph)
        return super()._choose(options)

    def run(self, inputs, into=None, keep=()):
        results = super().run(inputs, into, keep)
        self.returned += [
            [self.graph, name]
            for name, value in results.items()
            if not isinstance(value, DeviceTensor) and value.size
        ]
        return results


def events(engine):
    """Of each node's run: name, operator, provider and the types and shapes of its outputs."""
    for event in json.loads(Path(engine._session.end_profiling()).read_text()):
        facts = event.get("args", {})
        if event.get("cat") == "Node" and "op_name" in facts:
            outputs = [item for each in facts.get("output_type_shape", ()) for item in each.items()]
            yield event["name"], facts["op_name"], facts["provider"], outputs


def main(bundle):
    bundle = Bundle.open(Path(bundle))
    vectors = read_vectors(bundle.folder, bundle.manifest)
    webgpu = choose_engine("webgpu", bundle, Machine.here()).webgpu
    graphs = {spec.file: graph for graph, spec in bundle.manifest.graphs.items()}
    engines = []

    def load(path):
        engines.append(ProfiledEngine(path, graphs[path.name], webgpu, folder))
        return engines[-1]

    def returned():
        found = [each for engine in engines for each in engine.returned]
        for engine in engines:
            engine.returned.clear()
        return found

    with TemporaryDirectory() as folder:
        models = Models(bundle, load).in_rows(1)
        settings = bundle.manifest.settings
        grid = (settings.live_height, settings.live_width)
        scene = models.scene(models.features(vectors.live, 1), 0, 1, grid)
        residuals = models.residuals(scene, vectors.encoding)
        context = models.context(grid, ROOM)
        context.append_step(models.visual(vectors.live), residuals)
        found = {"step": returned()}
        context.append_text(vectors.text)
        found |= {"question": returned(), "nodes": {}, "computed": [], "fetched": []}
        for engine in engines:
            names = {}
            for name, operator, provider, outputs in events(engine):
                floats = [[kind, shape] for kind, shape in outputs if kind in FLOATS]
                if operator in MOVERS:
                    if operator == MOVERS[1]:
                        found["fetched"] += [[engine.graph, *each] for each in floats]
                    continue
                names[name] = provider
                if provider == PROVIDERS["cpu"] and floats:
                    found["computed"].append(f"{engine.graph}: {operator}")
            found["nodes"][engine.graph] = Counter(names.values())
        found["computed"] = sorted(set(found["computed"]))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
