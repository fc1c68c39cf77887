"""Everything of a GPU but the GPU: the same runner computes here on the CPU."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from onnx import TensorProto

from core.errors import ModelError, RunnerError
from core.settings import Settings
from service.artifact import FP32, Manifest, read_manifest
from service.bound import GRAPH_TOKENS, BoundRunner, graph_id
from service.buckets import BATCH_TOKENS, all_buckets
from service.encoding import Ints
from service.gpu import LARGEST_GAP, Attempt, attempts, gap_between, open_on_gpu, providers_of
from service.prepared import HALF, half_graph, place_of
from service.runner import GPU_WORKERS, OrtRunner, choose_runner, suited

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


@pytest.fixture(scope="module")
def manifest(tiny_version: Path) -> Manifest:
    return read_manifest(tiny_version)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def bound(tiny_version: Path, manifest: Manifest, cache: Path) -> BoundRunner:
    return open_on_gpu(tiny_version, manifest, "cpu", cache)


@pytest.fixture(scope="module")
def plain(tiny_version: Path) -> OrtRunner:
    return OrtRunner(tiny_version, "cpu", FP32)


def padded(lengths: list[int]) -> tuple[Ints, Ints]:
    """Return ids and mask of texts of `lengths` tokens, as an encoder pads them."""
    random = np.random.default_rng(sum(lengths))
    ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(5, 60, length)
        mask[row, :length] = 1
    return ids, mask


@examples(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(min_value=1, max_value=32), min_size=1, max_size=40))
def test_bucketed_texts_get_the_answers_of_the_plain_graph(
    bound: BoundRunner, plain: OrtRunner, lengths: list[int]
) -> None:
    logits, embeddings = bound.run(*padded(lengths))
    expected = plain.run(*padded(lengths))
    assert logits.dtype == embeddings.dtype == np.float32
    assert logits.shape == expected[0].shape
    np.testing.assert_allclose(embeddings, expected[1], atol=5e-3)
    assert gap_between([logits], [expected[0]]) <= LARGEST_GAP


def test_an_answer_stays_when_its_bucket_is_used_again(bound: BoundRunner) -> None:
    first, _ = bound.run(*padded([7, 8]))
    kept = first.copy()
    bound.run(*padded([5, 6]))
    np.testing.assert_array_equal(first, kept)


def test_what_an_earlier_batch_left_in_a_bucket_changes_nothing(bound: BoundRunner) -> None:
    alone, _ = bound.run(*padded([5, 6, 4]))
    bound.run(*padded([8, 8, 8, 8]))
    again, _ = bound.run(*padded([5, 6, 4]))
    np.testing.assert_array_equal(alone, again)


def test_a_batch_longer_than_the_task_allows_is_computed_all_the_same(bound: BoundRunner, plain: OrtRunner) -> None:
    ids, mask = padded([40])
    np.testing.assert_allclose(bound.run(ids, mask)[1], plain.run(ids, mask)[1], atol=5e-3)


def test_the_encoder_is_fp16_and_the_head_is_not(tiny_version: Path, cache: Path, manifest: Manifest) -> None:
    made = half_graph(tiny_version / FP32, place_of(cache, "cpu", manifest.files[FP32]))
    assert made is not None
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(made).graph.initializer}
    assert kinds["head.weight"] == kinds["head.bias"] == TensorProto.FLOAT
    encoder = [kind for name, kind in kinds.items() if name.startswith("encoder.") and kind != TensorProto.INT64]
    assert encoder
    assert set(encoder) == {TensorProto.FLOAT16}
    assert made.stat().st_size < 0.7 * (tiny_version / FP32).stat().st_size
    session = ort.InferenceSession(str(made), providers=[CPU])
    assert {output.name: output.type for output in session.get_outputs()} == {
        "logits": "tensor(float)",
        "embedding": "tensor(float)",
    }


def test_an_fp16_graph_is_made_once(tiny_version: Path, cache: Path, manifest: Manifest) -> None:
    place = place_of(cache, "cpu", manifest.files[FP32])
    made = half_graph(tiny_version / FP32, place)
    assert made == place / HALF
    before = made.stat().st_ino
    assert half_graph(tiny_version / FP32, place) == made
    assert made.stat().st_ino == before
    assert [path.name for path in place.iterdir()] == [HALF]


def test_a_graph_without_an_encoder_has_no_fp16_form(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    sides = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    path = tmp_path / "nothing.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "nothing", sides[:1], sides[1:])), path)
    with pytest.raises(ModelError, match="no plain encoder"):
        half_graph(path, tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_cuda_graphs_are_tried_first_and_fp32_last() -> None:
    assert [str(one) for one in attempts("cuda")] == ["fp16 and CUDA graphs", "fp16", "fp32 and CUDA graphs", "fp32"]
    assert [str(one) for one in attempts("tensorrt")] == ["fp16", "fp32"]


@pytest.mark.parametrize("fault", ["unreadable", "of another version"])
def test_an_fp16_graph_that_says_something_else_is_not_served(
    fault: str, tiny_version: Path, tiny_home: Path, tiny_versions: tuple[str, str], manifest: Manifest, tmp_path: Path
) -> None:
    place = place_of(tmp_path, "cpu", manifest.files[FP32])
    if fault == "unreadable":
        (place / HALF).write_bytes(b"no graph")
    else:
        other = tiny_home / "bentoml" / "models" / manifest.task / tiny_versions[1]
        shutil.copy(other / FP32, place / HALF)
    served = open_on_gpu(tiny_version, manifest, "cpu", tmp_path)
    expected = OrtRunner(tiny_version, "cpu", FP32).run(*padded([6, 9]))
    np.testing.assert_allclose(served.run(*padded([6, 9]))[0], expected[0], atol=1e-4)


def test_a_version_that_no_attempt_can_compute_is_refused(
    tiny_version: Path, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.gpu.LARGEST_GAP", -1.0)
    with pytest.raises(
        ModelError, match=r"cannot be computed by the cpu runner: a probability differs .*make gpu-check"
    ):
        open_on_gpu(tiny_version, manifest, "cpu", tmp_path)


def test_nothing_known_is_further_than_not_a_number() -> None:
    fine = np.array([[1.0, 2.0]], dtype=np.float32)
    assert gap_between([fine], [fine]) == 0.0
    assert gap_between([fine * np.nan], [fine]) == float("inf")
    assert gap_between([fine[:, ::-1]], [fine]) == pytest.approx(0.4621, abs=1e-3)


def test_what_was_not_used_for_long_is_deleted(tmp_path: Path) -> None:
    old, used = place_of(tmp_path, "cuda", "a" * 64), place_of(tmp_path, "cuda", "b" * 64)
    long_ago = time.time() - 40 * 24 * 3600
    for place in (old, used):
        os.utime(place, (long_ago, long_ago))
    assert place_of(tmp_path, "cuda", "b" * 64) == used
    assert used.is_dir()
    assert not old.exists()


def test_cuda_captures_graphs_and_allocates_as_asked(tmp_path: Path) -> None:
    (first, options), (last, _) = providers_of("cuda", tmp_path, 128, Attempt(half=True, captures=True))
    assert (first, last) == (CUDA, CPU)
    assert options["enable_cuda_graph"] == "1"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert providers_of("cuda", tmp_path, 128, Attempt(half=True, captures=False))[0][1]["enable_cuda_graph"] == "0"


@pytest.mark.parametrize("half", [True, False])
def test_tensorrt_builds_one_kept_engine_for_every_bucket(tmp_path: Path, half: bool) -> None:
    (first, options), *others = providers_of("tensorrt", tmp_path, 100, Attempt(half, captures=False))
    assert first == TENSORRT
    assert [name for name, _ in others] == [CUDA, CPU]
    assert options["trt_fp16_enable"] == ("1" if half else "0")
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    assert options["trt_profile_opt_shapes"] == "input_ids:32x32,attention_mask:32x32"
    assert options["trt_profile_max_shapes"] == "input_ids:128x100,attention_mask:128x100"


def test_each_small_shape_is_captured_as_a_graph_of_its_own() -> None:
    shapes = all_buckets(512, BATCH_TOKENS)
    small = {shape: graph_id(shape) for shape in shapes if shape[0] * shape[1] <= GRAPH_TOKENS}
    assert len(set(small.values())) == len(small) < len(shapes)
    assert all(int(one) > 0 for one in small.values())
    assert {graph_id(shape) for shape in shapes if shape not in small} == {"-1"}


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_asking_for_a_gpu_that_is_not_there_says_what_to_do(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    with pytest.raises(RunnerError, match=f"REGRADE_RUNNER is '{wanted}'.*make gpu.*REGRADE_RUNNER=cpu"):
        choose_runner(wanted)  # type: ignore[arg-type]


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    assert choose_runner("auto") == "cpu"


def test_a_provider_without_a_device_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    assert choose_runner("auto") == "cpu"
    with pytest.raises(RunnerError, match=r"installed but does not start here.*nvidia-smi"):
        choose_runner("cuda")


def test_a_gpu_has_defaults_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Settings()
    assert suited(usual) is usual
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    assert suited(usual) is usual, "the provider finds no device"
    monkeypatch.setattr("service.runner._starts", lambda _: True)
    assert suited(usual).workers <= GPU_WORKERS
    assert suited(usual).batch_tokens == BATCH_TOKENS
    assert suited(Settings(workers=9, batch_tokens=999)) == Settings(workers=9, batch_tokens=999)
    assert suited(Settings(workers=9)).batch_tokens == BATCH_TOKENS
    assert suited(Settings(runner="cpu")).batch_tokens == 512


def test_a_gpu_needs_a_folder_for_what_it_prepares(tiny_version: Path, manifest: Manifest) -> None:
    with pytest.raises(RunnerError, match="needs a folder"):
        open_on_gpu(tiny_version, manifest, "cpu", None)
