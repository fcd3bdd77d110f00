"""What an .onnx file declares, read byte by byte, against the `onnx` package."""

from pathlib import Path

import onnx
import pytest
from onnx.external_data_helper import _get_all_tensors, uses_external_data

from runtime.bundle import names
from runtime.bundle.graph_file import NESTED, read_graph_file
from runtime.errors import BundleError

MINI = Path(names.__file__).parents[1] / "mini"


def described(values):
    return [
        (
            value.name,
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            tuple(axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim),
        )
        for value in values
    ]


def read(specs):
    return [(spec.name, spec.type, spec.shape) for spec in specs]


@pytest.mark.parametrize("graph", names.GRAPHS)
def test_a_graph_is_read_as_onnx_reads_it(tiny_folder, graph):
    for folder in (MINI, tiny_folder):
        path = folder / f"{graph}.onnx"
        model, found = onnx.load(path, load_external_data=False), read_graph_file(path)
        assert read(found.inputs) == described(model.graph.input)
        assert read(found.outputs) == described(model.graph.output)
        tensors = [tensor for tensor in _get_all_tensors(model) if uses_external_data(tensor)]
        entries = (entry for tensor in tensors for entry in tensor.external_data)
        assert found.external == {entry.value for entry in entries if entry.key == "location"}
        assert found.external == {f"{graph}.onnx.data"}


def test_every_way_to_a_stored_tensor_is_walked():
    """From the descriptors of ONNX itself: no message that can hold a tensor is passed by."""
    descriptors, ways = {"ModelProto": onnx.ModelProto.DESCRIPTOR}, {}
    waiting = ["ModelProto"]
    while waiting:
        name = waiting.pop()
        fields = [field for field in descriptors[name].fields if field.message_type]
        ways[name] = {field.number: field.message_type.name for field in fields}
        for field in fields:
            if field.message_type.name not in descriptors:
                descriptors[field.message_type.name] = field.message_type
                waiting.append(field.message_type.name)
    leads = {"TensorProto"}
    while more := {name for name, there in ways.items() if leads & set(there.values())} - leads:
        leads |= more
    for name in leads - {"TensorProto"}:
        needed = {number: there for number, there in ways[name].items() if there in leads}
        assert needed.items() <= NESTED[name].items()
    external = onnx.TensorProto.DESCRIPTOR.fields_by_name["external_data"]
    assert NESTED["TensorProto"] == {external.number: external.message_type.name}


def test_a_graph_within_graphs_without_end(tmp_path):
    message = b""
    for _ in range(200):  # GraphProto.node, NodeProto.attribute, AttributeProto.g
        for field in (6, 5, 1):
            message = bytes([field << 3 | 2]) + varint(len(message)) + message
    path = tmp_path / "deep.onnx"
    path.write_bytes(bytes([7 << 3 | 2]) + varint(len(message)) + message)
    with pytest.raises(BundleError, match="nested too deep"):
        read_graph_file(path)


def varint(number):
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
