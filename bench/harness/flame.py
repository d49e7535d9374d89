"""A flame graph as SVG text: a box is a function, its width the share of samples in it and in what it
calls, which stands on top. No script: names that do not fit are in the tooltips."""

import dataclasses
import html
import re

from harness.profiles import KERNEL
from harness.svg import FONT, text

WIDTH = 1200
MARGIN = 10
ROW = 17
TOP = 62
BOTTOM = 14
NARROWEST = 0.3        # pixels; what is narrower is left out
LETTER_WIDTH = 6.4     # of the font at its size here, on average

# Pale, so that black letters can be read; told apart by lightness, too.
COLOURS = {"Mitu": "#f4a26b", "libraries": "#f3dc8c", "kernel": "#9cc3e6", "thread": "#d9d9d9"}


@dataclasses.dataclass
class Node:
    name: str
    kind: str
    samples: int = 0
    children: dict = dataclasses.field(default_factory=dict)


def kind_of(name):
    if name.endswith(KERNEL):
        return "kernel"
    return "Mitu" if name.startswith("mitu::") or "mitu::" in name or name == "main" else "libraries"


def tree(folded):
    root = Node("all", "thread")
    for stack, samples in folded.items():
        node = root
        node.samples += samples
        for depth, name in enumerate(stack):
            kind = "thread" if depth == 0 else kind_of(name)
            node = node.children.setdefault(name, Node(name, kind))
            node.samples += samples
    return root


def short(name):
    """The last two parts of a qualified name, without template arguments."""
    plain = name.removesuffix(KERNEL).replace("(anonymous namespace)::", "")
    while (fewer := re.sub(r"<[^<>]*>", "", plain)) != plain:
        plain = fewer
    return "::".join(plain.split("::")[-2:])


def fitting(name, width):
    """As much of the name as a box of this width can show; empty: nothing worth showing."""
    room = int((width - 6) / LETTER_WIDTH)
    words = short(name)
    if len(words) <= room:
        return words
    return words[:room - 1] + "…" if room >= 4 else ""


def depth_of(node, scale):
    shown = [child for child in node.children.values() if child.samples * scale >= NARROWEST]
    return 1 + max((depth_of(child, scale) for child in shown), default=0)


def boxes(node, x, y, scale, total, parts):
    """The box of `node`, whose lower edge is at y, and above it those of its children."""
    width = node.samples * scale
    share = f"{100 * node.samples / total:.2f} %, {node.samples:,} samples"
    label = fitting(node.name, width)
    parts.append(f'<g><title>{html.escape(node.name)}: {share}</title>'
                 f'<rect x="{x:.2f}" y="{y - ROW:.1f}" width="{width:.2f}" height="{ROW}" '
                 f'fill="{COLOURS[node.kind]}" stroke="#ffffff" stroke-width="0.6"/>'
                 + (text(x + 3, y - 5, label) if label else "") + "</g>")
    # By name: the same function stands at the same place in two graphs that are laid side by side.
    for _, child in sorted(node.children.items()):
        if child.samples * scale >= NARROWEST:
            boxes(child, x, y - ROW, scale, total, parts)
        x += child.samples * scale


def draw(title, note, folded):
    """Empty text: there are no samples."""
    root = tree(folded)
    if root.samples == 0:
        return ""
    scale = (WIDTH - 2 * MARGIN) / root.samples
    height = TOP + ROW * depth_of(root, scale) + BOTTOM
    parts = [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             text(16, 24, title, 16, bold=True), text(16, 44, note, 11, colour="#555555")]
    x = WIDTH - 330
    for kind, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/>')
        parts.append(text(x + 16, 44, kind))
        x += 80
    boxes(root, MARGIN, height - BOTTOM, scale, root.samples, parts)
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" {FONT}>\n'
            f'<title>{html.escape(title)}</title>\n{body}\n</svg>\n')
