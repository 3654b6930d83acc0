"""Gemma 3 in plain PyTorch: the causal model of the checkpoint, or the same weights reading both ways."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are those of Gemma 3 270M."""
    vocab: int
    width: int = 640
    layers: int = 18
    heads: int = 4
    kv_heads: int = 1
    head_dim: int = 256
    hidden: int = 2048
    window: int = 512
    # Every so-manieth layer sees the whole text, the others a window.
    every: int = 6
    eps: float = 1e-6
    local_base: float = 1e4
    global_base: float = 1e6

    def is_global(self, layer):
        return (layer + 1) % self.every == 0


class Norm(nn.Module):
    """Root-mean-square norm in float32. The weight multiplies as it is: the weight file's already hold the one that Gemma
    adds."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


def rotations(length, dim, base, device):
    """Cosines and sines of the rotary positions, [length, dim] each."""
    speed = base ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angle = torch.outer(torch.arange(length, device=device, dtype=torch.float32), speed)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-b, a], dim=-1) * sin).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, c, is_global):
        super().__init__()
        self.c, self.is_global = c, is_global
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.attn_norm, self.post_attention_norm = Norm(c.width, c.eps), Norm(c.width, c.eps)
        self.ffn_norm, self.post_ffw_norm = Norm(c.width, c.eps), Norm(c.width, c.eps)
        self.attn_q, self.attn_output = linear(c.width, c.heads * c.head_dim), linear(c.heads * c.head_dim, c.width)
        self.attn_k, self.attn_v = linear(c.width, c.kv_heads * c.head_dim), linear(c.width, c.kv_heads * c.head_dim)
        self.attn_q_norm, self.attn_k_norm = Norm(c.head_dim, c.eps), Norm(c.head_dim, c.eps)
        self.ffn_gate, self.ffn_up, self.ffn_down = linear(c.width, c.hidden), linear(c.width, c.hidden), linear(c.hidden, c.width)

    def attend(self, x, turn, mask):
        c, (batch, length, _) = self.c, x.shape
        split = lambda y: y.view(batch, length, -1, c.head_dim).transpose(1, 2)
        q = rotate(self.attn_q_norm(split(self.attn_q(x))), *turn)
        k = rotate(self.attn_k_norm(split(self.attn_k(x))), *turn)
        v, group = split(self.attn_v(x)), c.heads // c.kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        y = F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=mask, scale=c.head_dim ** -.5)
        return self.attn_output(y.transpose(1, 2).reshape(batch, length, -1))

    def forward(self, x, turn, mask):
        x = x + self.post_attention_norm(self.attend(self.attn_norm(x), turn, mask))
        y = self.ffn_norm(x)
        return x + self.post_ffw_norm(self.ffn_down(F.gelu(self.ffn_gate(y), approximate="tanh") * self.ffn_up(y)))


class Gemma(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab, config.width)
        self.layers = nn.ModuleList(Layer(config, config.is_global(i)) for i in range(config.layers))
        self.output_norm = Norm(config.width, config.eps)

    def forward(self, ids, real=None, causal=False):
        """Vectors after the last norm. `real` is false at padding; `causal` hides what comes later."""
        c, length = self.config, ids.shape[1]
        near, whole = self.masks(length, real, causal, ids.device)
        local = rotations(length, c.head_dim, c.local_base, ids.device)
        wide = rotations(length, c.head_dim, c.global_base, ids.device)
        x = self.embed(ids) * c.width ** .5
        for layer in self.layers:
            x = layer(x, wide if layer.is_global else local, whole if layer.is_global else near)
        return self.output_norm(x)

    def masks(self, length, real, causal, device):
        """What each position may see in windowed and in global layers; none where that is everything."""
        c, at = self.config, torch.arange(length, device=device)
        apart = at[:, None] - at[None, :]
        seen = None if real is None else real[:, None, None, :]
        whole = near = seen
        if causal:
            whole = apart >= 0 if seen is None else seen & (apart >= 0)
            near = whole
        if length > c.window:
            close = apart.abs() < c.window
            # Padding far behind a text sees at least itself: a row that sees nothing has no mean.
            near = close if near is None else (near & close) | (apart == 0)
        return near, whole

    def logits(self, vectors):
        """The head is the embedding itself."""
        return vectors @ self.embed.weight.T.to(vectors.dtype)


def from_tensors(tensors, config, extra=()):
    """The model of a weight file's tensors; `extra` lists, a new token each, the ids whose mean embedding it starts as."""
    model = Gemma(config)
    state = {}
    for name, value in tensors.items():
        name = name.replace("blk.", "layers.").replace("token_embd", "embed")
        state[name] = torch.from_numpy(value.copy())
    table = state["embed.weight"]
    new = [table[ids].mean(0) if ids else table.mean(0) for ids in extra]
    state["embed.weight"] = torch.cat([table, torch.stack(new)]) if new else table
    model.load_state_dict(state)
    return model


def reference(model):
    """The same weights in the transformers library's Gemma 3, to check this one against."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig
    c = model.config
    kinds = ["full_attention" if c.is_global(i) else "sliding_attention" for i in range(c.layers)]
    settings = Gemma3TextConfig(
        vocab_size=c.vocab, hidden_size=c.width, intermediate_size=c.hidden, num_hidden_layers=c.layers,
        num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, head_dim=c.head_dim, sliding_window=c.window,
        layer_types=kinds, rms_norm_eps=c.eps, query_pre_attn_scalar=c.head_dim, tie_word_embeddings=True,
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": c.global_base},
                         "sliding_attention": {"rope_type": "default", "rope_theta": c.local_base}},
        attn_implementation="eager", pad_token_id=0)
    names = {"attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
             "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
             "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "attn_q": "self_attn.q_proj",
             "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {"model.embed_tokens.weight": model.embed.weight, "lm_head.weight": model.embed.weight}
    state["model.norm.weight"] = model.output_norm.weight - 1
    for name, value in model.state_dict().items():
        if name.startswith("layers."):
            _, layer, part, _ = name.split(".")
            state[f"model.layers.{layer}.{names[part]}.weight"] = value - 1 if part.endswith("norm") else value
    made = Gemma3ForCausalLM(settings)
    made.load_state_dict({k: v.detach().clone() for k, v in state.items()})
    return made.eval()

