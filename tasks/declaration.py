"""A task's declaration: the noun that every room shares, as `task.toml` states it."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import TaskError
from core.redaction import KINDS
from core.redaction import Kind as RedactionKind
from tasks.moments import CronExpression, DayHours, Zone

Kind = Literal["single_label", "multi_label"]
"""What an answer is: one label, or any number of them. Only `single_label` tasks can be trained so far."""

OUT_OF_SCOPE = "out_of_scope"
"""Reserved label of starter rows that no label covers; never a class of a model."""

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""Form of a task's name; it is also the name of its models, so the store's rules apply."""

_RESERVED = frozenset({"items"})


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _task_name(value: str) -> str:
    if not NAME.fullmatch(value) or len(value) > 63:
        raise ValueError(
            f"{value!r} is no task name: expected up to 63 lower-case letters, digits and single hyphens, "
            "beginning with a letter"
        )
    if value in _RESERVED:
        raise ValueError(f"{value!r} cannot name a task: the paths of the API use it; choose another")
    return value


TaskName = Annotated[str, AfterValidator(_task_name)]


class Label(_Declared):
    """One label: `id` stays the same through renames, `name` is what people and the API say."""

    id: int = Field(ge=1)
    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=500)
    replaces: list[int] = Field(
        default_factory=list,
        description="Ids of labels of earlier revisions that this one takes over: several make a merger; one that "
        "several labels replace was split, and its items are asked again.",
    )


class Training(_Declared):
    """How this task's models are fine-tuned; the defaults are the recipe that works on most intents."""

    epochs: int = Field(5, ge=1, le=100, description="Most passes over the data; early stopping may choose fewer.")
    patience: int = Field(
        2, ge=1, le=100, description="Epochs clearly below the best validation accuracy before stopping."
    )
    batch_size: int = Field(64, ge=2, le=1024)
    learning_rate: float = Field(1.5e-4, gt=0, lt=1)
    head_learning_rate: float = Field(5e-3, gt=0, lt=1)
    weight_decay: float = Field(0.01, ge=0, lt=1)
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises.")
    dropout: float = Field(0.1, ge=0, lt=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    contrastive: float = Field(0.5, ge=0, description="Weight of the supervised contrastive loss beside cross-entropy.")
    refit: bool = Field(
        True,
        description="Whether to fit once more on all rows, those held out to choose and calibrate included: a little "
        "more accurate, at more than twice the time.",
    )
    seed: int = Field(7, ge=0)


class Triage(_Declared):
    """When a person is asked about a prediction."""

    max_error: float = Field(
        0.05, gt=0, lt=1, description="Share of wrong answers accepted among those that no person looks at."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="How sure to be that `max_error` is kept.")
    audit: float = Field(
        0.02, gt=0, le=1, description="Share of all predictions drawn at random for review, confident ones included."
    )
    budget: int | None = Field(
        None, ge=1, description="Reviews a day that people have time for; asks for fewer, but never below `audit`."
    )
    drift: bool = Field(True, description="Whether texts unlike the ones learnt from are drawn more often.")


class Review(_Declared):
    """How people's answers settle an item."""

    strategy: Literal["expert", "crowd", "combined"] = Field(
        "expert",
        description="`expert`: one answer by a qualified person; `crowd`: several independent answers; `combined`: "
        "crowd first, disagreement goes to an expert.",
    )
    experts: list[str] = Field(
        default_factory=list,
        description="People whose single answer settles an item; empty: everybody granted the task under `expert`, "
        "reviewers under `combined`.",
    )
    answers: int = Field(3, ge=2, le=50, description="Independent answers asked for at first by a crowd.")
    most_answers: int = Field(5, ge=2, le=50, description="Most answers asked for while a crowd is unsure.")
    certainty: float = Field(0.9, gt=0.5, lt=1, description="Posterior probability from which a crowd is sure.")
    aggregation: Literal["majority", "dawid_skene", "weighted"] = Field(
        "dawid_skene", description="How a crowd's answers become one."
    )
    lease_seconds: int = Field(600, ge=10, le=86_400, description="How long a claimed item is held without heartbeat.")
    hide_suggestions: float = Field(
        0.1, ge=0, le=1, description="Share of items shown without suggestions, so that people's own view is known."
    )
    check_rate: float = Field(0.05, ge=0, le=0.5, description="Share of claimed items that are check items.")
    trust_floor: float = Field(
        0.6, ge=0, lt=1, description="Accuracy on check items below which a person's answers stop counting."
    )
    trust_after: int = Field(10, ge=1, description="Check items answered before the trust floor holds.")
    show_checks: bool = Field(
        True, description="Whether annotators are told how many check items they answered, and how many rightly."
    )
    show_names: bool = Field(
        True,
        description="Whether those who decide a dispute see who said what; otherwise people are A, B and so on.",
    )

    @model_validator(mode="after")
    def _check_answers(self) -> Review:
        """Refuse a limit below the first number."""
        if self.strategy != "expert" and self.most_answers < self.answers:
            raise ValueError(f"most_answers ({self.most_answers}) is below answers ({self.answers}); raise it")
        return self


class Reports(_Declared):
    """How far direct feedback from applications is believed."""

    per_minute: int = Field(60, ge=1, description="Reports a minute from one key, or in open mode; more get 429.")
    review_from: float = Field(
        0.0, ge=0, le=1, description="Confidence from which a prediction that was reported wrong becomes an item."
    )
    as_answer: bool = Field(
        False, description="Whether a reported label counts as one answer of a crowd; otherwise it only opens the item."
    )


class GateLimits(_Declared):
    """What a candidate must show before it may take the champion's place."""

    test: Literal["non_inferiority", "superiority"] = Field(
        "non_inferiority",
        description="`non_inferiority`: shown to be worse by less than `margin`; `superiority`: shown to be better.",
    )
    margin: float = Field(
        0.02, gt=0, le=0.5, description="Loss of accuracy from which a candidate may pass only by chance."
    )
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="How often at most a candidate passes that is worse by `margin`, or no better."
    )
    small_gold: int = Field(
        2000,
        ge=0,
        description="Gold rows below which cross-validated answers on base data, where there are any, join the test.",
    )
    worse_alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="How often at most a candidate that is equal in all respects is refused by the checks that look "
        "for something worse, all of them together.",
    )
    negative_flips: float = Field(
        0.05, gt=0, le=1, description="Share of gold rows that the champion has right and the candidate wrong."
    )
    calibration: float = Field(0.02, ge=0, le=1, description="Rise of the expected calibration error.")
    out_of_scope: float = Field(0.02, ge=0, le=1, description="Fall of the AUROC of the out-of-scope score.")
    contradictions: float = Field(
        4.0,
        ge=1,
        le=1e6,
        description="Times as high as the champion's confidence says the odds may be that people contradict it.",
    )
    plausibility: float = Field(
        0.55,
        ge=0.5,
        le=1,
        description="Chance that a label which corrects the champion on gold is likelier to it than one which people "
        "correct it to; 0.5 is alike.",
    )
    ancestor_margin: float = Field(
        0.03, gt=0, le=0.5, description="The same as `margin` against the best pinned version."
    )
    parity: float = Field(0.95, ge=0, le=1, description="Share of gold rows to which int8 and fp32 give one label.")
    latency: float = Field(1.5, gt=0, le=1e6, description="The candidate's time for a text over the champion's.")
    size: float = Field(1.5, gt=0, le=1e6, description="The same for the size of the served file.")
    gold_uses: int = Field(20, ge=1, description="Verdicts on one gold set after which the gate warns of its wear.")


class Retrain(_Declared):
    """When and how this task's models are learnt anew."""

    fast_after: int = Field(
        30, ge=0, description="Newly reviewed items after which a fast run begins by itself; 0: never."
    )
    full_after: int = Field(
        0, ge=0, description="Newly reviewed items since the last full run after which another begins; 0: never."
    )
    oldest_hours: float | None = Field(
        None, gt=0, description="Hours after which a reviewed item that nothing has learnt from begins a fast run."
    )
    cron: CronExpression | None = Field(
        None, description="When full runs begin, as a cron expression of five fields, such as `0 3 * * *`."
    )
    timezone: Zone = Field("UTC", description="Time zone of `cron` and `quiet_hours`, such as `Europe/Zurich`.")
    cool_down_minutes: float = Field(
        10.0, ge=0, description="Minutes after a run ended in which no other begins by itself."
    )
    quiet_hours: DayHours | None = Field(
        None, description="Hours of the day in which no run begins by itself, such as `08:00-18:00`."
    )
    audit_below: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Accuracy on live traffic under which a full run begins: its whole 95 % interval lies below.",
    )
    drift_above: float | None = Field(
        None, ge=0.05, le=10, description="Population stability index from which a full run begins; 0.25 is usual."
    )
    start: Literal["base", "champion"] = Field(
        "base", description="What a full run fine-tunes: the base encoder, or the live version's own."
    )
    blend: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the live version's probabilities in what a full run learns of rows that it has right.",
    )
    reviewed_weight: float = Field(
        1.0, gt=0, le=100, description="How much a reviewed item counts beside a row of base data in a full run."
    )
    fast_weight: float = Field(
        3.0, gt=0, le=100, description="The same in a fast run, whose base data only holds all other answers in place."
    )
    fast_pull: float = Field(
        0.3, gt=0, le=1000, description="How strongly a fast run draws the new head towards the live version's."
    )
    keep_versions: int = Field(
        10, ge=1, description="Newest versions that `regrade models prune` leaves; live and pinned ones stay anyway."
    )


class TrialPlan(_Declared):
    """How a candidate that passed the gate is tried on live traffic before it takes the champion's place."""

    shadow_share: float = Field(
        0.0, ge=0, le=1, description="Share of the texts that the candidate scores too, unseen; 0: no shadow."
    )
    shadow_minutes: float = Field(60.0, ge=0, description="Minutes that the shadow lasts at least.")
    shadow_texts: int = Field(500, ge=1, description="Texts that it has scored by then at least.")
    least_agreement: float = Field(
        0.0, ge=0, lt=1, description="Share of the texts to which both give the same label; the shadow fails below it."
    )
    canary_shares: list[float] = Field(
        default_factory=list,
        max_length=20,
        description="Shares of the requests that the candidate answers, one after the other, such as `[0.05, 0.25]`; "
        "empty: no canary.",
    )
    canary_minutes: float = Field(60.0, ge=0, description="Minutes that each step of the canary lasts at least.")
    canary_texts: int = Field(500, ge=1, description="Texts that the candidate has answered in it by then at least.")
    error_rise: float = Field(
        0.001, ge=0, le=1, description="By how much the candidate may fail at a larger share of the requests."
    )
    correction_rise: float = Field(
        0.01, ge=0, le=1, description="By how much a larger share of its predictions may be corrected by people."
    )
    alpha: float = Field(
        0.01, gt=0, lt=0.5, description="How often at most each of these limits fails an equal candidate by chance."
    )
    most_hours: float = Field(
        72.0, gt=0, description="Hours after which a shadow or canary that has seen too little is given up."
    )
    fast: bool = Field(True, description="Whether candidates of fast runs are tried too, or go live at once.")

    @model_validator(mode="after")
    def _check_shares(self) -> TrialPlan:
        """Refuse shares that do not rise, or that leave the champion nothing to be compared by."""
        shares = self.canary_shares
        if any(not 0 < share < 1 for share in shares):
            raise ValueError(f"canary_shares is {shares}; each must be above 0 and below 1, such as [0.05, 0.25]")
        if any(later <= earlier for earlier, later in pairwise(shares)):
            raise ValueError(f"canary_shares is {shares}; each must be above the one before, such as [0.05, 0.25]")
        return self


class Watch(_Declared):
    """How the live version is watched, and when it is taken back."""

    hours: float = Field(
        48.0, ge=0, le=720, description="Hours after going live in which a version may be taken back; 0: never."
    )
    margin: float = Field(
        0.05, ge=0, le=1, description="Loss of accuracy on live traffic up to which a version is not taken back."
    )
    reports: float = Field(
        2.0, ge=1, le=1e6, description="The same for reports that a prediction was wrong: times as many as before."
    )
    labels: float = Field(
        1.0, ge=0, le=100, description="The same for the population stability index of its labels; 0: not looked at."
    )
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="How often at most a version that is as good is taken back by chance."
    )
    drift_texts: int = Field(
        500, ge=100, le=20_000, description="Predictions at least, first and latest ones, that drift is told from."
    )


class Task(_Declared):
    """Something to classify, as declared under one revision."""

    name: TaskName
    kind: Kind = "single_label"
    title: str = ""
    description: str = ""
    revision: int = Field(1, ge=1)
    languages: list[str] = Field(default_factory=lambda: ["en"], min_length=1)
    base: str = Field("minilm-l6", description="Bundled encoder, local folder, or hub name.")
    max_length: int = Field(128, ge=8, le=512, description="Tokens that the model sees; longer texts are cut.")
    redact: list[RedactionKind] = Field(default_factory=lambda: list(KINDS))
    labels: list[Label] = Field(min_length=2)
    training: Training = Field(default_factory=Training)
    triage: Triage = Field(default_factory=Triage)
    review: Review = Field(default_factory=Review)
    reports: Reports = Field(default_factory=Reports)
    gate: GateLimits = Field(default_factory=GateLimits)
    retrain: Retrain = Field(default_factory=Retrain)
    trial: TrialPlan = Field(default_factory=TrialPlan)
    watch: Watch = Field(default_factory=Watch)

    @model_validator(mode="after")
    def _check_labels(self) -> Task:
        """Refuse repeated ids or names and the reserved name."""
        for what in ("id", "name"):
            values = [getattr(label, what) for label in self.labels]
            repeated = sorted({str(value) for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"label {what} {', '.join(repeated)} is used more than once; each must be unique")
        if OUT_OF_SCOPE in self.label_names:
            raise ValueError(f"{OUT_OF_SCOPE!r} is reserved for rows that no label covers; rename the label")
        return self

    @property
    def label_names(self) -> list[str]:
        """Names in the order of the model's outputs."""
        return [label.name for label in self.labels]

    @property
    def only_language(self) -> str | None:
        """The language of every text, where the task has only one."""
        return self.languages[0] if len(self.languages) == 1 else None


def read_task(folder: Path) -> Task:
    """Read `task.toml` in `folder`.

    Raises:
        TaskError: the file is missing, is not TOML, or declares something that is not allowed; names the file and key.
    """
    path = folder / "task.toml"
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        task = Task.model_validate(raw)
    except FileNotFoundError as error:
        raise TaskError(f"{path} does not exist; a task folder needs one (`regrade task new` makes it)") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaskError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'task'}: {f['msg']}" for f in error.errors())
        raise TaskError(f"{path}: {faults}") from error
    if task.name != folder.name:
        raise TaskError(f"{path} names the task {task.name!r}, but its folder is {folder.name!r}; make them agree")
    return task
