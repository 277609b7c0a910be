"""The Muon optimizer: momentum with an orthogonal update, for matrices and convolution kernels."""

import torch

import parallel


def quick_type(device):
    """bfloat16 is enough, but a CPU without instructions for it takes five times as long."""
    slow = device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported()
    return torch.float32 if slow else torch.bfloat16


def orthogonal(x):
    """Nearest orthogonal matrices, roughly (Newton-Schulz)."""
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-12)).to(quick_type(x.device))
    for a, b, c in (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ):
        g = x @ x.mT
        x = a * x + (b * g + c * (g @ g)) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Parameters of equal shape are handled together."""

    def __init__(self, parameters, lr=2e-3, momentum=0.95, weight_decay=0.0):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for shape, ps in by_shape.items():
                for p in ps:
                    if "m" not in self.state[p]:
                        self.state[p]["m"] = torch.zeros_like(p)
                    self.state[p]["m"].lerp_(p.grad, 1 - group["momentum"])
                x = torch.stack(
                    [p.grad.lerp(self.state[p]["m"], group["momentum"]).flatten(1) for p in ps]
                )
                x = parallel.share(x, orthogonal) * (0.2 * max(x.shape[1:]) ** 0.5)
                for p, u in zip(ps, x):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(
                        u.view(shape), alpha=group["lr"]
                    )
