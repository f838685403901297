"""What server and nodes share of a model: named matrices, as records for the wire. Knows no corpus and no strategy.

With method "full" they are the weights themselves; with "lora" they are what all rounds so far add to the weights of
the base, as factors while those are smaller, else whole. A node adds that to its own copy of the base and begins a new
adapter there, so a round starts exactly from the aggregate, and a node that was away needs nothing but one message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from peft import LoraConfig, PeftModel, get_peft_model

from training.aggregation import Factors, add
from training.base import device_for, load, trainable
from training.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from training.base import Base
    from training.plan import ModelPlan

    Matrices = Mapping[str, Factors | NDArray[np.float32]]

UP, DOWN = "|up", "|down"
"""Ends of the names of an update's factors; a module's name holds no bar."""


def to_record(matrices: Matrices) -> ArrayRecord:
    """Matrices as arrays of float32. Factors become two, their scale in `up`."""
    arrays: dict[str, Array] = {}
    for name, matrix in matrices.items():
        if isinstance(matrix, Factors):
            arrays[name + UP] = _array(matrix.scale * matrix.up)
            arrays[name + DOWN] = _array(matrix.down)
        else:
            arrays[name] = _array(matrix)
    return ArrayRecord(arrays)


def from_record(record: ArrayRecord) -> dict[str, Factors | NDArray[np.float32]]:
    """The matrices in a record, in its order.

    Raises:
        FederationError: half a pair of factors, or an array that is not float32.
        AggregationError: factors without a product.
    """
    arrays = {name: _numpy(name, array) for name, array in record.items()}
    matrices: dict[str, Factors | NDArray[np.float32]] = {}
    for name, array in arrays.items():
        if name.endswith(UP):
            module = name.removesuffix(UP)
            if module + DOWN not in arrays:
                message = f"{name!r} came without {module + DOWN!r}: send both factors"
                raise FederationError(message)
            matrices[module] = Factors(array, arrays[module + DOWN])
        elif not name.endswith(DOWN):
            matrices[name] = array
        elif name.removesuffix(DOWN) + UP not in arrays:
            message = f"{name!r} came without its other factor: send both"
            raise FederationError(message)
    return matrices


def plus(current: Factors | NDArray[np.float32], update: Factors) -> Factors | NDArray[np.float32]:
    """What is shared of one matrix and an update of it: as factors while they hold fewer numbers than the matrix."""
    if not isinstance(current, Factors):
        return (current.astype(np.float64) + update.dense()).astype(np.float32)
    total = add(current, update)
    outputs, inputs = total.shape
    return total if total.rank * (outputs + inputs) < outputs * inputs else total.dense().astype(np.float32)


def dense(matrix: Factors | NDArray[np.float32]) -> NDArray[np.float32]:
    """A matrix, multiplied out."""
    return matrix.dense().astype(np.float32) if isinstance(matrix, Factors) else matrix


def weights_of(model: torch.nn.Module) -> dict[str, Factors | NDArray[np.float32]]:
    """What a full training moves: every parameter that requires a gradient, once where two names share it."""
    return {
        name: parameter.detach().cpu().float().numpy().copy()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def no_update(model: torch.nn.Module, *, whole: bool) -> dict[str, Factors | NDArray[np.float32]]:
    """The update before the first round of a model with adapters: zeros if `whole`, else factors of rank 0."""
    matrices: dict[str, Factors | NDArray[np.float32]] = {}
    for name, layer in _adapted(model):
        outputs, inputs = layer.base_layer.weight.shape
        matrices[name] = (
            np.zeros((outputs, inputs), np.float32)
            if whole
            else Factors(np.zeros((outputs, 0), np.float32), np.zeros((0, inputs), np.float32))
        )
    return matrices


def adapter_of(model: torch.nn.Module) -> dict[str, Factors | NDArray[np.float32]]:
    """The factors that a training of adapters arrived at."""
    return {
        name: Factors(
            layer.lora_B["default"].weight.detach().cpu().float().numpy(),
            layer.lora_A["default"].weight.detach().cpu().float().numpy(),
            float(layer.scaling["default"]),
        )
        for name, layer in _adapted(model)
    }


def take_up(model: torch.nn.Module, matrices: Matrices) -> None:
    """Bring a model to what is shared: weights are replaced, updates added to the base under the adapters.

    Raises:
        FederationError: names or shapes are not those of the model.
    """
    layers = dict(_adapted(model))
    parameters = dict(model.named_parameters())
    own = layers or {name for name, parameter in parameters.items() if parameter.requires_grad}
    if set(own) != set(matrices):
        odd = sorted(set(own) ^ set(matrices))
        message = f"what is shared is not of this model ({odd[0]!r} ...): let base, method and targets be the same"
        raise FederationError(message)
    with torch.no_grad():
        for name, matrix in matrices.items():
            weight = layers[name].base_layer.weight if layers else parameters[name]
            value = torch.from_numpy(np.ascontiguousarray(dense(matrix))).to(weight.device, weight.dtype)
            if value.shape != weight.shape:
                message = f"{name!r} is {tuple(weight.shape)} here and {tuple(value.shape)} there: use one base"
                raise FederationError(message)
            weight.copy_(weight + value if layers else value)


def model_of(matrices: Matrices, base: Base, plan: ModelPlan) -> Any:  # noqa: ANN401 - of transformers or peft
    """The model that is shared in the end: the base with an adapter where all updates are factors, else whole.

    The adapter has each matrix' own rank, so it is the aggregate and no approximation of it.
    """
    if matrices and all(isinstance(matrix, Factors) for matrix in matrices.values()):
        return _with_factors(base, plan, {name: one.compact()[0] for name, one in matrices.items()})  # type: ignore[union-attr]
    model = trainable(base, plan, 0)
    take_up(model, matrices)
    # Adapters are fresh, and add nothing.
    return model.unload() if isinstance(model, PeftModel) else model


def _with_factors(base: Base, plan: ModelPlan, factors: Mapping[str, Factors]) -> Any:  # noqa: ANN401 - peft's
    """The base with adapters of these factors, each of its own rank and of scale 1."""
    ranks = {name: max(1, one.rank) for name, one in factors.items()}
    config = LoraConfig(
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        target_modules=sorted(ranks),
        rank_pattern=ranks,
        alpha_pattern=ranks,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(load(base.folder, device_for(plan.device)), config)
    with torch.no_grad():
        for name, layer in _adapted(model):
            one = factors[name]
            layer.lora_A["default"].weight[: one.rank].copy_(torch.from_numpy(one.down))
            layer.lora_B["default"].weight[:, : one.rank].copy_(torch.from_numpy(one.up))
    return model


def _adapted(model: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    """Layers that peft put an adapter on, by their names in the base."""
    for name, layer in model.named_modules():
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            yield name.removeprefix("base_model.model."), layer


def _array(values: NDArray[Any]) -> Array:
    return Array(np.ascontiguousarray(values, dtype=np.float32))


def _numpy(name: str, array: Array) -> NDArray[np.float32]:
    if array.dtype != "float32":
        message = f"{name!r} is of {array.dtype}: send float32"
        raise FederationError(message)
    values: NDArray[np.float32] = array.numpy()
    return values
