"""Write LPIPS' weights as a folder that Semblance reads: python export_lpips.py FOLDER [alex|vgg].

Needs `pip install lpips torchvision`. torchvision downloads the network's weights, so run this where that is allowed.
The folder is then named in a study file or command as the checkpoint of a comparer of the kind "lpips".
"""

# mypy: ignore-errors
# Run elsewhere, with packages that are not among the tools of this project.

import json
import sys
from pathlib import Path

from lpips import LPIPS
from safetensors.torch import save_file


def export(model, net, folder):
    """Write the network and its five linear layers."""
    kept = {key: value for key, value in model.state_dict().items() if key.startswith(("net.", "lin"))}
    weights = {key: value.detach().contiguous().clone() for key, value in kept.items() if not key.startswith("lins.")}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": f"lpips-{net}"}))


if __name__ == "__main__":
    network = sys.argv[2] if len(sys.argv) > 2 else "alex"
    export(LPIPS(net=network), network, Path(sys.argv[1]))
