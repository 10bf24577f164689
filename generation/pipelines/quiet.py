"""Keep other libraries' progress bars and advice out of the log: a worker writes one line for each job.

Their errors are raised as exceptions and need no line. What they advise (other arguments, other versions, a LoRA
without keys for a text encoder) is decided in this package.
"""

import logging
import warnings

import diffusers
import transformers
from huggingface_hub.utils.tqdm import disable_progress_bars

TALKATIVE = ("diffusers", "transformers", "peft", "accelerate", "huggingface_hub", "bitsandbytes")


def quieten() -> None:
    """Show no progress bars, no warnings and no advice of the libraries that load and run models."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.logging.disable_progress_bar()
    disable_progress_bars()
    diffusers.utils.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.set_verbosity(logging.CRITICAL)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=rf"{name}(\..*)?$")
