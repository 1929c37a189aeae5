"""Where a picture came from: by which weights, programs and device it was made. Written into its file, compared when it is verified."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_CONFIG = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)
_Name = Annotated[str, Field(max_length=300)]
_Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
_Short = Annotated[str, Field(max_length=200)]


class Mark(BaseModel):
    """Which weights were used.

    Attributes:
        name: what they were called.
        hash: SHA-256 of the file, or the folder's hash; empty when it was not known yet.
        tensor_hash: SHA-256 of a LoRA's tensors alone; empty for others.
        addnet_hash: the twelve digits by which A1111 calls a LoRA.
    """

    model_config = _CONFIG

    name: _Name
    hash: _Hash = ""
    tensor_hash: _Hash = ""
    addnet_hash: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""


class Provenance(BaseModel):
    """What made a picture.

    Attributes:
        versions: of the studio and the libraries that count, by name.
        device: such as "CPU, AVX2, 2 threads".
        precision: number format of the weights.
        model: the model.
        loras: the LoRAs, in the request's order.
        controlnets: the ControlNet of each unit.
        maps: the map of each unit, as the hash of its pixels.
        batch, place: how many pictures its run made, and which of them it is, from 0; libraries round otherwise in a batch of another size.
        pixels: hash of the picture's own pixels, before any file format; see `images.content_key`.
    """

    model_config = _CONFIG

    versions: Annotated[dict[_Short, _Short], Field(max_length=16)] = {}
    device: _Short = ""
    precision: _Short = ""
    model: Mark
    loras: Annotated[tuple[Mark, ...], Field(strict=False, max_length=16)] = ()
    controlnets: Annotated[tuple[Mark, ...], Field(strict=False, max_length=8)] = ()
    maps: Annotated[tuple[_Hash, ...], Field(strict=False, max_length=8)] = ()
    batch: Annotated[int, Field(ge=1, le=8)] = 1
    place: Annotated[int, Field(ge=0, le=7)] = 0
    pixels: _Hash = ""

    @classmethod
    def read(cls, data: object) -> Self | None:
        """Read decoded JSON; None where it is damaged, because a picture's request counts without it."""
        try:
            return cls.model_validate(data)
        except ValidationError:
            return None

    def differences(self, other: "Provenance") -> list[str]:
        """Say what another making differed in, one part of a sentence each: "torch 2.14 then, 2.15 now"."""
        said = [
            _changed(name, self.versions.get(name, ""), other.versions.get(name, "")) for name in sorted({*self.versions, *other.versions})
        ]
        said += [_changed("device", self.device, other.device), _changed("precision", self.precision, other.precision)]
        said.append(_swapped("model", self.model, other.model))
        for label, then, now in (("LoRA", self.loras, other.loras), ("ControlNet", self.controlnets, other.controlnets)):
            if len(then) == len(now):
                said += [_swapped(f"{label} {i + 1}", *pair) for i, pair in enumerate(zip(then, now, strict=True))]
            else:
                # Where one is gone, those behind it stand in other places, and comparing by place would blame them.
                said.append(f"{len(then)} {label}s then, {len(now)} now")
        if len(self.maps) == len(other.maps):
            said += [f"control map {i + 1}" for i, (then, now) in enumerate(zip(self.maps, other.maps, strict=True)) if then != now]
        return [part for part in said if part]


def _changed(label: str, then: str, now: str) -> str:
    return "" if then == now else f"{label} {then or 'unknown'} then, {now or 'unknown'} now"


def _swapped(label: str, then: Mark, now: Mark) -> str:
    """Weights are the same when their hashes are; a name alone says little."""
    if then.hash and now.hash:
        same = then.hash == now.hash or bool(then.tensor_hash and then.tensor_hash == now.tensor_hash)
        return "" if same else f"{label} {then.name} with hash {then.hash[:10]} then, {now.name} with {now.hash[:10]} now"
    if then.name != now.name:
        return f"{label} {then.name} then, {now.name} now"
    return f"{label} {then.name}: its hash {'then' if not then.hash else 'now'} is unknown"


def versions_of(found: Mapping[str, str]) -> dict[str, str]:
    """Shorten what programs call their version, so that it fits a picture."""
    return {name[:200]: version[:200] for name, version in list(found.items())[:16]}
