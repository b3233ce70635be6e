"""What the bundle carries of botocore's knowledge of AWS: the operations that the functions call, and no more.

botocore reads the whole model of a service when a client is made, megabytes of JSON for iot and dynamodb, and that was
a third of a cold start. A trimmed model has fewer operations, and without their documentation; every operation that
stays has the same input, output, errors and endpoint, which is compared with botocore's own reading of both models.

Which operations stay is read from the sources: every name or text in them that is the name of an operation. So a new
call brings its operation along, and there is no list to forget; a few names too many cost nothing.
"""

import ast
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.loaders import JSONFileLoader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.regions import EndpointResolver

SERVICES = ("dynamodb", "iot", "kms")
# What a client reads of a service, each as .json or .json.gz.
_FILES = ("service-2", "paginators-1", "endpoint-rule-set-1")


class TrimmingError(Exception):
    """A trimmed model would not do what the whole one does."""


def names_in(sources: Iterable[str]) -> frozenset[str]:
    """Every attribute and every text of some Python sources: a method's name is one, a paginator's the other."""
    names: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return frozenset(names)


def trim(data: Path, names: frozenset[str]) -> None:
    """Trim a folder ``botocore/data`` in place to what code with these names can call.

    Raises:
        TrimmingError: an operation would not be the same; or something is used that no trimmed model has.
    """
    if "get_waiter" in names:
        raise TrimmingError("The functions wait for something (get_waiter), and the bundle has no waiters.")
    for service in SERVICES:
        _trim_service(data / service, names)
    _trim_endpoints(data / "endpoints.json")


def called(model: Mapping[str, Any], names: frozenset[str]) -> list[str]:
    """The operations of a service's model that code with these names may call."""
    return [
        name
        for name, operation in model["operations"].items()
        # botocore itself calls the one that finds endpoints, if it is told to.
        if xform_name(name) in names or operation.get("endpointoperation")
    ]


def _trim_service(folder: Path, names: frozenset[str]) -> None:
    """Leave the latest version, which is what botocore takes, and of its files those that a client reads."""
    *old, latest = sorted(each for each in folder.iterdir() if each.is_dir())
    for path in (*(file for version in old for file in version.iterdir()), *latest.glob("examples-*")):
        path.unlink()
    for version in old:
        version.rmdir()
    for path in latest.glob("waiters-*"):
        path.unlink()
    unknown = sorted(path.name for path in latest.iterdir() if path.name.partition(".json")[0] not in _FILES)
    if unknown:  # botocore completes a model with some (service-2.sdk-extras.json), which nobody has looked at here
        raise TrimmingError(f"{folder.name}: botocore has files that are new: {', '.join(unknown)}.")

    model = _read(latest / "service-2")
    operations = called(model, names)
    trimmed = trimmed_model(model, operations)
    compare(model, trimmed, operations)
    paginators = _read(latest / "paginators-1")["pagination"]
    kept = {name: paginator for name, paginator in paginators.items() if name in operations}
    for name, content in zip(
        _FILES, (trimmed, {"pagination": kept}, _read(latest / "endpoint-rule-set-1")), strict=True
    ):
        for suffix in (".json", ".json.gz"):
            (latest / f"{name}{suffix}").unlink(missing_ok=True)
        _write(latest / f"{name}.json", content)


def trimmed_model(model: Mapping[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """A service's model with some operations, what these are made of, and every error of the service."""
    kept = {name: model["operations"][name] for name in operations}
    shapes = model["shapes"]
    # A service answers with errors that its operations do not list, and ``client.exceptions`` has them all.
    wanted = [*_named_shapes(kept), *(name for name, shape in shapes.items() if shape.get("exception"))]
    reached: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached[name] = shapes[name]
            wanted += _named_shapes(shapes[name])
    in_order = {name: shape for name, shape in shapes.items() if name in reached}
    return dict(_undocumented({**model, "operations": kept, "shapes": in_order}))


def _named_shapes(node: Any) -> Iterator[str]:
    """The names after ``shape``, however deep. A structure may have a member of that name, which is no text."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _named_shapes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named_shapes(value)


def _undocumented(node: Any) -> Any:
    """The same without documentation. A member may be called so; it is no text."""
    if isinstance(node, Mapping):
        return {
            key: _undocumented(value)
            for key, value in node.items()
            if not (key in ("documentation", "documentationUrl") and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_undocumented(value) for value in node]
    return node


# The check: what botocore reads in both models


def compare(whole: Mapping[str, Any], trimmed: Mapping[str, Any], operations: Iterable[str]) -> None:
    """Hold two models of a service against each other, as botocore understands them.

    Raises:
        TrimmingError: the service, an operation or an error is not the same in both.
    """
    before, after = ServiceModel(whole), ServiceModel(trimmed)
    if _service(before) != _service(after):
        raise TrimmingError(f"{before.service_name}: the service itself is not the same.")
    if [described(each) for each in before.error_shapes] != [described(each) for each in after.error_shapes]:
        raise TrimmingError(f"{before.service_name}: the errors are not the same.")
    for name in operations:
        if _operation(before.operation_model(name)) != _operation(after.operation_model(name)):
            raise TrimmingError(f"{before.service_name}: the operation {name} is not the same.")


def _service(model: ServiceModel) -> list[Any]:
    discovery = model.endpoint_discovery_operation
    return [model.metadata, model.client_context_parameters, discovery and discovery.name]


def _operation(model: OperationModel) -> dict[str, Any]:
    """Everything that botocore's serializer, parser, signer, validator and endpoint rules ask an operation for."""
    plain = (
        *("name", "wire_name", "http", "deprecated", "endpoint", "http_checksum_required", "http_checksum"),
        *("context_parameters", "operation_context_parameters", "request_compression", "auth", "auth_type"),
        *("resolved_auth_type", "unsigned_payload", "idempotent_members", "static_context_parameters"),
        *("endpoint_discovery", "is_endpoint_discovery_operation", "has_event_stream_input", "has_event_stream_output"),
        *("has_streaming_input", "has_streaming_output"),
    )
    return {
        **{name: getattr(model, name) for name in plain},
        "input": described(model.input_shape),
        "output": described(model.output_shape),
        "errors": [described(each) for each in model.error_shapes],
    }


def described(shape: Shape | None, above: tuple[str, ...] = ()) -> Any:
    """A shape and all below it as plain values; one within itself by its name."""
    if shape is None or shape.name in above:
        return shape and shape.name
    inner = (*above, shape.name)
    description: dict[str, Any] = {
        "name": shape.name,
        "type": shape.type_name,
        "serialization": shape.serialization,
        "metadata": shape.metadata,
    }
    if isinstance(shape, StructureShape):
        description["error code"] = shape.error_code
        description["members"] = {name: described(member, inner) for name, member in shape.members.items()}
    for part in ("member", "key", "value"):
        if hasattr(shape, part):
            description[part] = described(getattr(shape, part), inner)
    return description


# The endpoints


def _trim_endpoints(path: Path) -> None:
    whole = json.loads(path.read_text())
    trimmed = trimmed_endpoints(whole)
    compare_endpoints(whole, trimmed)
    _write(path, trimmed)


def trimmed_endpoints(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Every partition and every Region, with the services that the functions call."""
    partitions = [
        {**each, "services": {name: each["services"][name] for name in SERVICES if name in each["services"]}}
        for each in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def compare_endpoints(whole: Mapping[str, Any], trimmed: Mapping[str, Any]) -> None:
    """Ask botocore's resolver for each service in each Region, with both.

    Raises:
        TrimmingError: an answer is not the same.
    """
    before, after = (EndpointResolver(copy.deepcopy(each)) for each in (whole, trimmed))  # it writes into what it reads
    if before.get_available_partitions() != after.get_available_partitions():
        raise TrimmingError("The partitions are not the same.")
    for partition in whole["partitions"]:
        # A Region that botocore does not know yet is told by its pattern.
        for region in (*partition["regions"], *_unknown_region(partition)):
            for service in SERVICES:
                for variant in ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}):
                    if _endpoint(before, service, region, variant) != _endpoint(after, service, region, variant):
                        raise TrimmingError(f"The endpoint of {service} in {region} is not the same.")


def _endpoint(resolver: EndpointResolver, service: str, region: str, variant: Mapping[str, Any]) -> Any:
    try:
        return resolver.construct_endpoint(service, region, **variant)
    except Exception as error:  # noqa: BLE001  the same refusal is the same, too
        return repr(error)


def _unknown_region(partition: Mapping[str, Any]) -> list[str]:
    known = next(iter(partition["regions"]), None)
    return [f"{known.rpartition('-')[0]}-99"] if known else []


def _read(path: Path) -> Any:
    return JSONFileLoader().load_file(str(path))


def _write(path: Path, content: Any) -> None:
    """As it is, since to unpack it would take longer than to read it. A new file: an installer may have linked the old
    one to its cache, and so to every other environment of this machine.
    """
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")))
