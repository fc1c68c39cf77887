"""FastAPI with a `transformers` pipeline: PyTorch, fp32, as tutorials have it. Run by uvicorn, a worker a core.

One PyTorch thread a worker: two workers of two threads each would fight for two cores. No batches inside a request, as
the pipeline's documentation advises on a CPU, where padding costs more than it gains. The endpoint is an ordinary
function, which FastAPI runs in its thread pool.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

torch.set_num_threads(1)
app = FastAPI()
classifier = pipeline("text-classification", model=os.environ["PEER_HUGGING_FACE"], top_k=3)
classifier(["warm up"])


class Texts(BaseModel):
    """Body of a request."""

    texts: list[str]


@app.post("/classify")
def classify(body: Texts) -> list[list[dict[str, Any]]]:
    """Classify the texts of one request."""
    answers: Any = classifier(body.texts, truncation=True)
    return list(answers)
