"""MLServer with a runtime of our own: its parallel workers, one a core, and its version 2 protocol."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.model import Model, load_model


class Classifier(MLModel):
    """The model behind MLServer's protocol."""

    model: Model

    async def load(self) -> bool:
        """Load the model."""
        self.model = load_model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify the texts of one request; the reply holds the best label and its confidence."""
        answers = self.model.classify(StringCodec.decode_input(payload.inputs[0]))
        labels = StringCodec.encode_output("label", [answer["label"] for answer in answers])
        scores = StringCodec.encode_output("confidence", [f"{answer['confidence']:.6f}" for answer in answers])
        return InferenceResponse(model_name=self.name, outputs=[labels, scores])
