"""What fine-tuning minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CONTRAST_TEMPERATURE = 0.1

CONFIDENT = 0.9
"""Probability of a row's label from which it is drawn to others of that label; what is less sure only answers."""


@dataclass(frozen=True)
class Goals:
    """What `n` texts should come to.

    `targets` `(n,)` are the indices of their labels, or of the most probable ones. `soft` `(n, n_labels)` are the
    probabilities of the labels, None where every row is certain; `weights` `(n,)` how much each counts, None where all
    count the same.
    """

    targets: Tensor
    soft: Tensor | None = None
    weights: Tensor | None = None


def contrastive_loss(embedding: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the supervised contrastive loss of one batch, a scalar (Khosla et al. 2020, equation 2).

    `embedding` is `(n_texts, width)`, of unit length; `targets` `(n_texts,)` holds label indices, and `weights`
    `(n_texts,)` says how much each text counts. Texts without another of their label in the batch have nothing to be
    drawn to and do not count; 0 when none has.
    """
    itself = torch.eye(len(targets), dtype=torch.bool)
    alike = (targets.unsqueeze(0) == targets.unsqueeze(1)) & ~itself
    similarity = (embedding @ embedding.T / CONTRAST_TEMPERATURE).masked_fill(itself, float("-inf"))
    log_share = (similarity - similarity.logsumexp(dim=1, keepdim=True)).masked_fill(itself, 0.0)
    partners = alike.sum(dim=1)
    per_text = -(log_share * alike).sum(dim=1) / partners.clamp(min=1)
    counted = partners > 0
    if not bool(counted.any()):
        return embedding.sum() * 0.0
    return _mean(per_text[counted], None if weights is None else weights[counted])


def total_loss(logits: Tensor, embedding: Tensor, goals: Goals, smoothing: float, contrastive: float) -> Tensor:
    """Return cross-entropy with label `smoothing` plus `contrastive` times the supervised contrastive loss.

    Only rows that are sure of their label take part in the contrastive loss.
    """
    wanted = goals.targets if goals.soft is None else goals.soft
    loss = _mean(functional.cross_entropy(logits, wanted, label_smoothing=smoothing, reduction="none"), goals.weights)
    if not contrastive:
        return loss
    return loss + contrastive * contrastive_loss(*_confident(embedding, goals))


def _confident(embedding: Tensor, goals: Goals) -> tuple[Tensor, Tensor, Tensor | None]:
    if goals.soft is None:
        return embedding, goals.targets, goals.weights
    sure = goals.soft.max(dim=1).values >= CONFIDENT
    return (embedding[sure], goals.targets[sure], None if goals.weights is None else goals.weights[sure])


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of `losses` `(n,)`; weights are means of 1 over all rows, so that batches stay comparable."""
    return losses.mean() if weights is None else (losses * weights).mean()
