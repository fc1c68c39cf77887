"""What fine-tuning minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CONTRAST_TEMPERATURE = 0.1


def contrastive_loss(embedding: Tensor, targets: Tensor) -> Tensor:
    """Return the supervised contrastive loss of one batch, a scalar (Khosla et al. 2020, equation 2).

    `embedding` is `(n_texts, width)`, of unit length; `targets` `(n_texts,)` holds label indices. Texts without
    another of their label in the batch have nothing to be drawn to and do not count; 0 when none has.
    """
    itself = torch.eye(len(targets), dtype=torch.bool)
    alike = (targets.unsqueeze(0) == targets.unsqueeze(1)) & ~itself
    similarity = (embedding @ embedding.T / CONTRAST_TEMPERATURE).masked_fill(itself, float("-inf"))
    log_share = (similarity - similarity.logsumexp(dim=1, keepdim=True)).masked_fill(itself, 0.0)
    partners = alike.sum(dim=1)
    per_text = -(log_share * alike).sum(dim=1) / partners.clamp(min=1)
    counted = partners > 0
    return per_text[counted].mean() if bool(counted.any()) else embedding.sum() * 0.0


def total_loss(logits: Tensor, embedding: Tensor, targets: Tensor, smoothing: float, contrastive: float) -> Tensor:
    """Return cross-entropy with label `smoothing` plus `contrastive` times the supervised contrastive loss."""
    loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    return loss + contrastive * contrastive_loss(embedding, targets) if contrastive else loss
