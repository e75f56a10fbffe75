"""What a recipe's network has learnt before it begins: with weights of the hub, of a package, or of a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from storage.hub_catalog import load_hub_catalog
from training.lineage import ELSEWHERE, Learnt
from training.models.parts.imagenet import IMAGENET, PACKAGED, names_file

TIMM = "tu-"


def learnt_before(options: Mapping[str, Any]) -> tuple[Learnt, ...]:
    """options: of a recipe's model. Nothing where all weights begin at random."""
    if network := network_weights(options):
        return (_of_hub(network) if options.get("hub") else Learnt.unknown(network),)
    weights = options.get("encoder_weights")
    return (_of_encoder(str(options.get("encoder", "")), str(weights)),) if weights else ()


def network_weights(options: Mapping[str, Any]) -> str:
    """Whose weights a whole network takes: owner/name@commit of the hub, or a folder's name, since where it lies is of
    this machine alone. Empty where it takes none. options: of a recipe's model."""
    if not options.get("pretrained", True):
        return ""
    return str(options.get("hub") or PurePath(str(options.get("folder") or "")).name)


def _of_hub(hub: str) -> Learnt:
    """hub: owner/name@commit. Its licence where the catalogue knows it."""
    repository, _, commit = hub.partition("@")
    learnt = replace(
        Learnt.unknown(f"{repository} (commit {commit[:12]})"), source=f"https://huggingface.co/{repository}"
    )
    known = next((each for each in load_hub_catalog().values() if each.hub == repository), None)
    return learnt if known is None else replace(learnt, licence=f"{known.licence} {known.licence_url}")


def _of_encoder(encoder: str, weights: str) -> Learnt:
    name = encoder.removeprefix(TIMM)
    if names_file(weights):
        path = Path(weights.partition("#sha256=")[0])
        return Learnt.unknown(f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})")
    if weights != IMAGENET:
        return Learnt.unknown(f"{encoder} ({weights})")
    known = PACKAGED.get(name) if name != encoder else None
    run = encoder if known is None else f"the package {known.package} (sha256 {known.sha256[:16]})"
    terms = "as its publisher says" if known is None else known.licence
    licence = f"ImageNet weights of {encoder}: {terms}."
    return Learnt(dataset=ELSEWHERE, split="", title="ImageNet", licence=licence, run=run)
