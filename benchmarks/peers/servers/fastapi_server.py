"""FastAPI, in a thread pool and inlined in the event loop. Run by uvicorn, a worker a core.

The pool has one thread: there is one core a worker, and more threads than cores only take the interpreter's lock from
each other. A `JSONResponse` is returned as it is, which spares FastAPI's own encoder.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from benchmarks.peers.model import load_model

app = FastAPI()
model = load_model()
pool = ThreadPoolExecutor(max_workers=1)


class Texts(BaseModel):
    """Body of a request."""

    texts: list[str]


@app.post("/pool")
async def classify_in_pool(body: Texts) -> JSONResponse:
    """Keep the event loop free."""
    return JSONResponse(await asyncio.get_running_loop().run_in_executor(pool, model.classify, body.texts))


@app.post("/inline")
async def classify_inline(body: Texts) -> JSONResponse:
    """Hold up the event loop: faster, as nothing is handed to a thread, until something else must be answered."""
    return JSONResponse(model.classify(body.texts))
