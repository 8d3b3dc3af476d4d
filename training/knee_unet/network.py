"""The network: a U-Net at half resolution between a strided stem and a transposed head. Needs torch.

All 3 x 3 x 3 convolutions run at 1.4 mm, so that a laptop can process 128^3 voxels of 0.7 mm; the head returns the
logits at 0.7 mm. Two light convolutions at full resolution after the head were tried: they added 25 % computation and
0.001 Dice after 180 steps. Parameter names are those of models/knee_unet/weights.onnx.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.knee_unet.specimen import NETWORK_CLASS_COUNT

CHANNELS = (32, 64, 128, 160)
AUXILIARY_FACTOR = 4
"""The auxiliary output of training has one voxel per 4 x 4 x 4 voxels of the main output."""


class Block(nn.Sequential):
    """Convolution, instance normalisation, leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.InstanceNorm3d(outputs, affine=True, eps=1e-5),
            nn.LeakyReLU(0.01),
        )


class KneeUNet(nn.Module):
    """(n, 1, d, h, w) standardised image with sides that are multiples of 16 -> (n, classes, d, h, w) logits.

    In training it returns (logits, auxiliary logits at a quarter of the resolution).
    """

    def __init__(self, channels: tuple[int, ...] = CHANNELS, classes: int = NETWORK_CLASS_COUNT) -> None:
        super().__init__()
        steps = range(len(channels) - 1)
        self.stem = Block(1, channels[0], 5, 2)
        self.enc = nn.ModuleList(
            [nn.Sequential(Block(channels[0], channels[0]))]
            + [
                nn.Sequential(Block(channels[k], channels[k + 1], 3, 2), Block(channels[k + 1], channels[k + 1]))
                for k in steps
            ]
        )
        self.up = nn.ModuleList([nn.Conv3d(channels[k + 1], channels[k], 1, bias=False) for k in steps])
        self.dec = nn.ModuleList(
            [nn.Sequential(Block(2 * channels[k], channels[k]), Block(channels[k], channels[k])) for k in steps]
        )
        self.head = nn.ConvTranspose3d(channels[0], classes, 2, stride=2)
        self.aux = nn.ModuleList([nn.Conv3d(channels[1], classes, 1)])

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Logits of an image; shapes as in the class docstring."""
        x = self.stem(image)
        skipped = []
        for stage in self.enc:
            x = stage(x)
            skipped.append(x)
        auxiliary = x
        for k in reversed(range(len(self.dec))):
            wide = functional.interpolate(self.up[k](x), scale_factor=2.0, mode="nearest")
            x = self.dec[k](torch.cat([wide, skipped[k]], 1))
            if k == 1:
                auxiliary = x
        logits = self.head(x)
        return (logits, self.aux[0](auxiliary)) if self.training else logits


UNLIKELY = -3.0
"""Change of the bias of a class that the stored network did not have."""


def load_parameters(network: KneeUNet, parameters: dict[str, torch.Tensor]) -> None:
    """Load parameters into a network. `aux` is used in training only and may be missing. A network with fewer classes
    is widened: its additional classes start like the background, but unlikely.

    Raises ValueError if any other parameter is missing or unknown.
    """
    weight, bias = parameters["head.weight"], parameters["head.bias"]
    if (added := network.head.out_channels - len(bias)) > 0:
        parameters = parameters | {
            "head.weight": torch.cat([weight, weight[:, :1].expand(-1, added, -1, -1, -1)], 1),
            "head.bias": torch.cat([bias, bias[:1].expand(added) + UNLIKELY]),
        }
        parameters = {name: values for name, values in parameters.items() if not name.startswith("aux.")}
    missing, unknown = network.load_state_dict(parameters, strict=False)
    wrong = [name for name in missing if not name.startswith("aux.")] + list(unknown)
    if wrong:
        raise ValueError(f"parameters do not match the network: {', '.join(wrong[:5])}")


def soft_loss(outputs: tuple[torch.Tensor, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy + 0.4 x squared-form Dice loss, whose minimum is 0 for soft targets too. targets (n, classes, d, h,
    w). Dice is averaged over the classes present in the patch: with absent ones included, the patella stayed at 0 for
    half an hour of training. The auxiliary output has weight 0.3. Classes of the network that the targets do not have
    count as background.
    """
    total = torch.zeros((), device=targets.device)
    for logits, weight, factor in zip(outputs, (1.0, 0.3), (1, AUXILIARY_FACTOR), strict=True):
        wanted = functional.avg_pool3d(targets, factor) if factor > 1 else targets
        log_shares = known_classes(functional.log_softmax(logits.float(), 1), targets.shape[1])
        shares = log_shares.exp()
        entropy = -(wanted * log_shares).sum(1).mean()
        over = (0, 2, 3, 4)
        overlap = 2.0 * (shares * wanted).sum(over) + 1.0
        dice = overlap / ((shares * shares).sum(over) + (wanted * wanted).sum(over) + 1.0)
        present = (wanted.sum(over) > 8).float()
        present[0] = 0.0
        total = total + weight * (entropy + 0.4 * ((1.0 - dice) * present).sum() / present.sum().clamp(min=1.0))
    return total / 1.3


def known_classes(log_shares: torch.Tensor, count: int) -> torch.Tensor:
    """Log probabilities (n, classes, ...) of the first `count` classes; the others are added to the background."""
    if log_shares.shape[1] == count:
        return log_shares
    background = torch.cat([log_shares[:, :1], log_shares[:, count:]], 1).logsumexp(1, keepdim=True)
    return torch.cat([background, log_shares[:, 1:count]], 1)


def aligned(logits: torch.Tensor, targets: torch.Tensor, classes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, network's classes, ...) with the classes of the targets first, as known_classes expects, and targets
    without classes that the network lacks: these are background.

    classes: the network's class of each target (patches.Patch)
    """
    count = logits.shape[1]
    kept = [k for k, number in enumerate(classes) if number < count]
    if len(kept) < len(classes):
        lacking = [k for k in range(len(classes)) if k not in kept]
        background = targets[:, :1] + targets[:, lacking].sum(1, keepdim=True)
        targets = torch.cat([background, targets[:, kept[1:]]], 1)
    first = [classes[k] for k in kept]
    order = first + [number for number in range(count) if number not in first]
    return (logits if order == list(range(count)) else logits[:, order]), targets
