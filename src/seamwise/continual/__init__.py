"""Learning without forgetting: strategies, the loop that runs them, and the figures that judge them.

Needs torch alone. `SynapticIntelligence` and the other strategies also work in a training loop of one's own.
"""

from seamwise.continual.batch import Batch, Output, Step
from seamwise.continual.catalogue import METHODS, build_strategy
from seamwise.continual.draw import Draw
from seamwise.continual.ewc import OnlineEWC
from seamwise.continual.ewc_per_task import PerTaskEWC
from seamwise.continual.gem import GradientEpisodicMemory
from seamwise.continual.learner import DivergenceError, Learner, MismatchError, Progress
from seamwise.continual.lfl import LessForgettingLearning
from seamwise.continual.lwf import LearningWithoutForgetting
from seamwise.continual.memory import Memory
from seamwise.continual.objective import Classification, ClassMask, Objective
from seamwise.continual.replay import Replay
from seamwise.continual.si import SynapticIntelligence
from seamwise.continual.single_pass import SinglePass
from seamwise.continual.strategy import Chain, Frozen, Phase, Strategy
from seamwise.continual.stream import Concatenation, Dataset, Experience, Stream, TensorDataset, concatenate
from seamwise.continual.tensors import clip_gradients
from seamwise.continual.training import Training
from seamwise.continual.undisturbed import undisturbed

Finetuning = Strategy

__all__ = [
    "METHODS",
    "Batch",
    "Chain",
    "ClassMask",
    "Classification",
    "Concatenation",
    "Dataset",
    "DivergenceError",
    "Draw",
    "Experience",
    "Finetuning",
    "Frozen",
    "GradientEpisodicMemory",
    "Learner",
    "LearningWithoutForgetting",
    "LessForgettingLearning",
    "Memory",
    "MismatchError",
    "Objective",
    "OnlineEWC",
    "Output",
    "PerTaskEWC",
    "Phase",
    "Progress",
    "Replay",
    "SinglePass",
    "Step",
    "Strategy",
    "Stream",
    "SynapticIntelligence",
    "TensorDataset",
    "Training",
    "build_strategy",
    "clip_gradients",
    "concatenate",
    "undisturbed",
]
