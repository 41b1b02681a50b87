"""The text of random changes of images and sequences in a plain training loop."""

from __future__ import annotations

from typing import Any

from regsearch.space.tree import number

WARPED = '''

def warped(x, rotation, zoom, scale, shift):
    """Images rotated by up to so many degrees, zoomed, stretched and moved at random; their edges go on."""
    signed = 2 * torch.rand(6, len(x), dtype=x.dtype) - 1
    angle, ratio = signed[0] * math.radians(rotation), x.shape[2] / x.shape[3]
    nearer = (1 + zoom) ** -signed[1]
    across, down = nearer * (1 + scale) ** -signed[2], nearer * (1 + scale) ** -signed[3]
    to = torch.stack([
        across * angle.cos(), -across * angle.sin() * ratio, 2 * shift * signed[4],
        down * angle.sin() / ratio, down * angle.cos(), 2 * shift * signed[5],
    ], dim=1)
    grid = functional.affine_grid(to.view(-1, 2, 3), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
'''

STRETCHED = '''

def stretched(x, shift, crop):
    """Sequences of which a part is left and stretched to the whole, moved at random; their ends go on."""
    places, last = torch.rand(3, len(x), dtype=x.dtype), x.shape[-1] - 1
    cropped = crop * places[0]
    start = cropped * places[1] + shift * (2 * places[2] - 1)
    at = torch.linspace(0, 1, last + 1, dtype=x.dtype)
    at = ((start[:, None] + (1 - cropped[:, None]) * at) * last).clamp(0, last)
    before = at.floor().long().clamp(max=max(last - 1, 0))
    index, share = before[:, None].expand(x.shape), (at - before)[:, None]
    first, second = x.gather(-1, index), x.gather(-1, (index + 1).clamp(max=last))
    return first + share * (second - first)
'''


def image_lines(one: Any) -> dict[str, str]:
    """Changes of each image of a batch; contrast is that of images as they are given."""
    v = {name: number(value) for name, value in one.fields().items()}
    lines = []
    for name, axis in (("reflection", -1), ("flip", -2)):
        if v[name]:
            lines.append(f"x = torch.where(torch.rand(len(x), 1, 1, 1) < {v[name]!r}, x.flip({axis}), x)")
    warps = [v[name] for name in ("rotation", "zoom", "scale", "shift")]
    if any(warps):
        lines.append(f"x = warped(x, {', '.join(map(repr, warps))})")
    if v["contrast"]:
        lines += [
            "middle, width = (torch.tensor(a, dtype=DTYPE) for a in (center, spread))",
            "x = x * width + middle", "mean = x.mean((1, 2, 3), keepdim=True)",
            f"factor = {1 + v['contrast']!r} ** (2 * torch.rand(len(x), 1, 1, 1, dtype=DTYPE) - 1)",
            "x = (mean + (x - mean) * factor - middle) / width",
        ]  # fmt: skip
    if v["noise"]:
        lines.append(f"x = x + {v['noise']!r} * torch.randn_like(x)")
    return {"batch": "\n".join(lines)} | ({"helper": "warped"} if any(warps) else {})


def sequence_lines(one: Any) -> dict[str, str]:
    """Changes of each sequence of a batch."""
    v = {name: number(value) for name, value in one.fields().items()}
    lines = []
    if v["shift"] or v["crop"]:
        lines.append(f"x = stretched(x, {v['shift']!r}, {v['crop']!r})")
    if v["scaling"]:
        lines.append(f"x = x * {1 + v['scaling']!r} ** (2 * torch.rand(*x.shape[:2], 1, dtype=DTYPE) - 1)")
    if v["jitter"]:
        lines.append(f"x = x + {v['jitter']!r} * torch.randn_like(x)")
    return {"batch": "\n".join(lines)} | ({"helper": "stretched"} if v["shift"] or v["crop"] else {})
