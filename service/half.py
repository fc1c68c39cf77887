"""An fp16 graph from a version's fp32 one, for GPUs: `python -m service.half FP32 TARGET`.

Run as a process of its own, so that a service neither imports `onnx` nor stands still or grows meanwhile. The encoder
becomes fp16; what pools its output, the head, and all inputs and outputs stay as they are: sums of squares over a long
text may pass what fp16 can hold, and calibration wants exact logits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from core.errors import ModelError

_LARGEST = float(np.finfo(np.float16).max)
"""What stands for values beyond fp16, such as the -3.4e38 that hides padding from attention."""

_LAST = "LayerNormalization"
"""The operator that ends an encoder."""


def halve(model: onnx.ModelProto) -> None:
    """Turn the encoder of a version's fp32 graph into fp16, in place.

    Raises:
        ModelError: the graph has no encoder that is known here.
    """
    graph = model.graph
    ends = [node for node in graph.node if node.op_type == _LAST]
    if not ends or any(part.HasField("g") for node in graph.node for part in node.attribute):
        raise ModelError(f"the graph is no plain encoder that ends in a {_LAST}: it cannot be made fp16")
    boundary = ends[-1].output[0]
    encoder = _ancestors(graph, ends[-1])
    made = {name for node in encoder for name in node.output}
    rest = [node for node in graph.node if made.isdisjoint(node.output)]
    for node in encoder:
        _halve_attributes(node)
    _halve_constants(graph, encoder, rest)
    exact = f"{boundary}_exact"
    for node in rest:
        _rename_inputs(node, boundary, exact)
    cast = helper.make_node("Cast", [boundary], [exact], name="encoder_to_fp32", to=TensorProto.FLOAT)
    place = next(place for place, node in enumerate(graph.node, start=1) if boundary in node.output)
    graph.node.insert(place, cast)
    del graph.value_info[:]  # the types it told have changed


def _ancestors(graph: GraphProto, end: NodeProto) -> list[NodeProto]:
    """Return `end` and every node that it depends on."""
    makers = {name: node for node in graph.node for name in node.output}
    found: dict[str, NodeProto] = {}
    waiting = [end]
    while waiting:
        node = waiting.pop()
        if node.output[0] not in found:
            found[node.output[0]] = node
            waiting += [makers[name] for name in node.input if name in makers]
    return list(found.values())


def _halve_attributes(node: NodeProto) -> None:
    """Turn the floats that a node holds, or is told to make, into fp16."""
    for part in node.attribute:
        if part.type == AttributeProto.TENSOR:
            part.t.CopyFrom(_half(part.t))
        elif node.op_type == "Cast" and part.name == "to" and part.i == TensorProto.FLOAT:
            part.i = TensorProto.FLOAT16
    if node.op_type == "ConstantOfShape" and not node.attribute:  # by default it makes fp32 zeros
        zero = numpy_helper.from_array(np.zeros(1, dtype=np.float16))
        node.attribute.append(helper.make_attribute("value", zero))


def _halve_constants(graph: GraphProto, encoder: list[NodeProto], rest: list[NodeProto]) -> None:
    """Turn the encoder's weights into fp16; one that the `rest` of the graph needs too stays beside its fp16 copy."""
    shared = {name for node in rest for name in node.input}
    wanted = {name for node in encoder for name in node.input}
    for tensor in list(graph.initializer):
        if tensor.name not in wanted or tensor.data_type != TensorProto.FLOAT:
            continue
        made = _half(tensor)
        if tensor.name not in shared:
            tensor.CopyFrom(made)
            continue
        made.name = f"{tensor.name}_half"
        graph.initializer.append(made)
        for node in encoder:
            _rename_inputs(node, tensor.name, made.name)


def _half(tensor: TensorProto) -> TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    values = np.clip(numpy_helper.to_array(tensor), -_LARGEST, _LARGEST).astype(np.float16)
    return numpy_helper.from_array(values, tensor.name)


def _rename_inputs(node: NodeProto, old: str, new: str) -> None:
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new


def main() -> None:
    """Write the fp16 form of the graph in the first argument to the second."""
    source, target = map(Path, sys.argv[1:])
    model = onnx.load(source)
    try:
        halve(model)
    except ModelError as error:
        sys.exit(str(error))
    onnx.save(model, target)


if __name__ == "__main__":
    main()
