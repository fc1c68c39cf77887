"""Who is measured: how each peer is installed, started and asked, and why its settings are its best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.peers.protocols import HUGGING_FACE, KSERVE_1, KSERVE_2, OURS, PIPELINE, PLAIN, WRAPPED, Protocol

REGRADE = "regrade"

_MODEL = ("onnxruntime==1.32.0", "tokenizers==0.22.2", "numpy==2.4.6")
_UVICORN = ("fastapi==0.165.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
_SERVE = "-m uvicorn {module} --host 127.0.0.1 --port {port} --workers {cores}"
_QUIET = " --loop uvloop --http httptools --no-access-log --log-level warning"


ENVIRONMENT = {
    "PEER_FOLDER": "{version}",
    "PEER_HUGGING_FACE": "{hugging_face}",
    "PEER_PORT": "{port}",
    "PEER_WORKERS": "{cores}",
    "PYTHONUNBUFFERED": "1",
    # A process a core, a thread a process: libraries that start a thread a core take the time of the other processes.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "BENTOML_HOME": "{work}/bentoml",
    "BENTOML_DO_NOT_TRACK": "True",
}
"""What every peer gets; braces as in a peer's command."""


@dataclass(frozen=True)
class Peer:
    """A server under test."""

    name: str
    command: str
    """Words after the Python of its environment, with names in braces that `running.py` fills in."""
    path: str
    protocol: Protocol
    argued: str
    """Its settings and why."""
    requires: tuple[str, ...] = ()
    """What pip installs into its environment; empty: it runs in ours."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beside `ENVIRONMENT`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to write into its `{work}` folder."""
    triage: str = ""
    """Rules of an own copy of our task, in `{work}/home`; empty: none is made."""
    is_same_model: bool = True
    """Whether its answers must be those of the model on its own."""


def _uvicorn(module: str) -> str:
    return _SERVE.replace("{module}", f"benchmarks.peers.servers.{module}:app") + _QUIET


def _bentoml(service: str) -> str:
    target = f"benchmarks.peers.servers.bentoml_server:{service}"
    return f"-m bentoml serve {target} --host 127.0.0.1 --port {{port}}"


TASK = "support-intent"
_OUR_COMMAND = "-m regrade serve --host 127.0.0.1 --port {port} --workers {cores}"
_OUR_PATH = f"/v1/tasks/{TASK}/predict"
_OUR_ENVIRONMENT = {"REGRADE_HOME": "{work}/home", "BENTOML_HOME": "{model_store}"}

_BENTOML = ("bentoml==1.4.39", "uvloop==0.23.0", "httptools==0.9.0", *_MODEL)
_MLSERVER_SETTINGS = (
    '{"host": "127.0.0.1", "http_port": {port}, "grpc_port": {second_port}, "metrics_port": {third_port}, '
    '"parallel_workers": {cores}, "debug": false, "gzip_enabled": false}'
)

PEERS = (
    Peer(
        REGRADE,
        _OUR_COMMAND,
        _OUR_PATH,
        OURS,
        "as `regrade serve` runs it, both starters live, every feature on: redaction, calibration, out-of-scope score, "
        "triage, every prediction recorded in SQLite, metrics; the idle scheduler beside it; one prediction in ten "
        "goes to review, at random, because most of these texts are strangers to the task",
        environment=_OUR_ENVIRONMENT,
        triage="audit = 0.1\nbudget = 1",
    ),
    Peer(
        "regrade all reviewed",
        _OUR_COMMAND,
        _OUR_PATH,
        OURS,
        "the same with every prediction sent to review, committed before its reply: the most it can be asked to do",
        environment=_OUR_ENVIRONMENT,
        triage="audit = 1.0",
    ),
    Peer(
        "fastapi inline",
        _uvicorn("fastapi_server"),
        "/inline",
        PLAIN,
        "a uvicorn worker a core with uvloop and httptools; the model runs in the event loop: nothing is handed over, "
        "and nothing else is answered meanwhile",
        (*_UVICORN, *_MODEL),
    ),
    Peer(
        "fastapi thread pool",
        _uvicorn("fastapi_server"),
        "/pool",
        PLAIN,
        "the same with the model in a pool of one thread a worker: one core has no use for more",
        (*_UVICORN, *_MODEL),
    ),
    Peer(
        "bentoml",
        _bentoml("Plain"),
        "/classify",
        PLAIN,
        "stock `@bentoml.api`, a worker a core, asynchronous method, no access log, uvloop and httptools installed",
        _BENTOML,
    ),
    Peer(
        "bentoml batchable",
        _bentoml("Batchable"),
        "/classify",
        PLAIN,
        "the same with BentoML's adaptive batching, up to 64 texts",
        _BENTOML,
    ),
    Peer(
        "litserve",
        "-m benchmarks.peers.servers.litserve_server",
        "/classify",
        WRAPPED,
        "a computing process and an API process a core, its faster queue, no waiting for batches",
        ("litserve==0.2.19", "pyzmq==27.1.0", "uvloop==0.23.0", "httptools==0.9.0", *_MODEL),
    ),
    Peer(
        "ray serve",
        "-m benchmarks.peers.servers.ray_server",
        "/classify",
        PLAIN,
        "a replica a core, 64 requests in flight at each, no dashboard, no access log",
        ("ray[serve]==2.60.0", *_MODEL),
        {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_ENABLE_TASK_EVENTS": "0", "RAY_DEDUP_LOGS": "0"},
    ),
    Peer(
        "kserve",
        "-m benchmarks.peers.servers.kserve_server",
        "/v1/models/peer:predict",
        KSERVE_1,
        "its Python server with a worker a core, version 1 protocol, no gRPC, no access log",
        ("kserve==0.21.0", "onnxruntime==1.32.0", "tokenizers==0.22.2"),
    ),
    Peer(
        "mlserver",
        "-m mlserver.cli.main start {work}",
        "/v2/models/peer/infer",
        KSERVE_2,
        "a runtime of our own in a parallel worker a core, version 2 protocol, no access log",
        ("mlserver==1.7.1", "uvloop==0.21.0", "onnxruntime==1.32.0", "tokenizers==0.22.2"),
        files={
            "settings.json": _MLSERVER_SETTINGS,
            "model-settings.json": '{"name": "peer", "implementation": '
            '"benchmarks.peers.servers.mlserver_runtime.Classifier"}',
        },
    ),
    Peer(
        "mlserver hugging face",
        "-m mlserver.cli.main start {work}",
        "/v2/models/peer/infer",
        HUGGING_FACE,
        "its Hugging Face runtime on the same int8 graph through Optimum, a parallel worker a core",
        (
            "mlserver-huggingface==1.7.1",
            "mlserver==1.7.1",
            # The last Optimum below 2 that works with this PyTorch; the transformers of its time.
            "optimum==1.13.3",
            "transformers==4.34.1",
            "torch==2.13.0",
            "onnxruntime==1.32.0",
            "numpy==1.26.4",
            "uvloop==0.21.0",
        ),
        {"USE_TF": "0"},
        files={
            "settings.json": _MLSERVER_SETTINGS,
            "model-settings.json": '{"name": "peer", "implementation": "mlserver_huggingface.HuggingFaceRuntime", '
            '"parameters": {"uri": "{hugging_face}", "extra": {"task": "text-classification", "optimum_model": true}}}',
        },
    ),
    Peer(
        "fastapi transformers",
        _uvicorn("pipeline_server"),
        "/classify",
        PIPELINE,
        "what most people deploy: a `transformers` pipeline, PyTorch fp32, a uvicorn worker a core with one PyTorch "
        "thread; the same encoder with a head of its own, whose answers are not compared",
        (*_UVICORN, "torch==2.13.0", "transformers==4.57.6"),
        is_same_model=False,
    ),
)
"""In the order of the table."""
