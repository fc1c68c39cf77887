"""The network: a BERT-like encoder, mean pooling, and a head on the L2-normalised embedding."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from core.errors import ModelError
from service.runner import Floats

COSINE_SCALE = 20.0
"""Multiplies the cosines into logits (Luo et al. 2018, "Cosine normalization"; 20 was the best of a few tried)."""

_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
_log = logging.getLogger(__name__)


class CosineHead(nn.Module):
    """Logits are `COSINE_SCALE` times the cosine between an embedding and each label's own direction."""

    def __init__(self, n_labels: int, width: int) -> None:
        """Start from random directions; `Network.start_from` replaces them by the classes' centroids."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_labels, width) / math.sqrt(width))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits `(n_texts, n_labels)` for unit-length `embedding` `(n_texts, width)`."""
        return functional.linear(embedding, COSINE_SCALE * functional.normalize(self.weight, dim=-1))


class Network(nn.Module):
    """Encoder, mask-aware mean pooling and head; fine-tuned and frozen models share it, and so their export."""

    config: PretrainedConfig

    def __init__(self, encoder: PreTrainedModel, n_labels: int) -> None:
        """Put a cosine head for `n_labels` labels on `encoder`."""
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.width: int = encoder.config.hidden_size
        self.head: nn.Module = CosineHead(n_labels, self.width)
        self.mixed = False
        """Whether the encoder's products are in bfloat16 while it learns (answers are always in fp32)."""

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return unit-length embeddings `(n_texts, width)` of padded int64 `(n_texts, n_tokens)`."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.mixed and self.training):
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden = hidden.float()
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        # The sum needs no division by the number of tokens: the length is normalised away.
        return functional.normalize((hidden * weights).sum(dim=1), dim=-1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return `logits` `(n_texts, n_labels)` and `embedding` `(n_texts, width)`, under the graph's names."""
        embedding = self.embed(input_ids, attention_mask)
        return {"logits": self.head(embedding), "embedding": embedding}

    @torch.no_grad()
    def start_from(self, centroids: Tensor) -> None:
        """Point the cosine head at `centroids` `(n_labels, width)`; a label without rows (all zeros) stays random."""
        if not isinstance(self.head, CosineHead):
            raise ModelError("only a cosine head starts from centroids; this network has a linear one")
        known = centroids.norm(dim=-1, keepdim=True) > 0
        self.head.weight.copy_(torch.where(known, functional.normalize(centroids, dim=-1), self.head.weight))

    @torch.no_grad()
    def fold(self) -> None:
        """Replace the cosine head by the linear one that computes the same, so that the graph holds constants only."""
        if isinstance(self.head, CosineHead):
            weight = COSINE_SCALE * functional.normalize(self.head.weight, dim=-1)
            self._put_linear(weight, torch.zeros(len(weight)))

    @torch.no_grad()
    def set_linear(self, weight: Floats, bias: Floats) -> None:
        """Make the head linear with `weight` `(n_labels, width)` and `bias` `(n_labels,)`, as fitted elsewhere."""
        self._put_linear(torch.as_tensor(weight, dtype=torch.float32), torch.as_tensor(bias, dtype=torch.float32))

    def _put_linear(self, weight: Tensor, bias: Tensor) -> None:
        head = nn.Linear(weight.shape[1], weight.shape[0])
        head.weight.copy_(weight)
        head.bias.copy_(bias)
        self.head = head


def positions_of(folder: Path) -> int:
    """Return the number of tokens that the encoder in `folder` can see at most."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    positions = int(getattr(config, "max_position_embeddings", 512))
    # RoBERTa counts its positions from behind the padding id.
    return positions - config.pad_token_id - 1 if "roberta" in config.model_type else positions


def load_network(folder: Path, n_labels: int, dropout: float) -> Network:
    """Build a network on the encoder in `folder`, with `dropout` wherever its architecture has any.

    Raises:
        ModelError: the folder's files are no encoder that transformers can load without remote code.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        for name in _DROPOUTS:
            if hasattr(config, name):
                setattr(config, name, dropout)
        encoder = AutoModel.from_pretrained(
            folder, config=config, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} holds no encoder that can be loaded: {error}") from error
    _log.debug("loaded %s from %s", type(encoder).__name__, folder)
    return Network(encoder, n_labels)
