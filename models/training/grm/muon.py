"""Muon in single precision. PyTorch's own turns the steps in bfloat16, which a processor without instructions for it takes
thirty times as long for."""
import torch

COEFFICIENTS, ROUNDS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.Optimizer):
    """Momentum, then the nearest matrix whose singular values are near one. Steps are as large as AdamW's would be."""

    def __init__(self, matrices, lr, weight_decay=0.0, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                moving = self.state[p].setdefault("momentum", torch.zeros_like(p))
                moving.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(moving, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


def orthogonal(matrix):
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.T
