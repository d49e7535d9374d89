"""One kind of chart as SVG text: rows of dots with whiskers, on a logarithmic scale."""

import dataclasses
import html
import math

# Told apart by people who see red and green alike, too (Okabe and Ito).
COLOURS = ("#cc79a7", "#e69f00", "#56b4e9", "#000000")
# The same in every chart, whoever else takes part.
COLOUR_OF = {"null relay": "#777777", "mitu": "#d55e00", "mosquitto": "#0072b2",
             "nats-server": "#009e73"}

WIDTH = 960
LABEL_WIDTH = 330
RIGHT = 90       # room for the figure beside the last dot
LANE = 15        # height of one broker in a row
ROW_GAP = 9
TOP = 78
BOTTOM = 46
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


@dataclasses.dataclass(frozen=True)
class Dot:
    value: float
    low: float
    high: float
    text: str


def powers_around(low, high):
    """Whole powers of ten that enclose low..high, at least one decade."""
    first = math.floor(math.log10(low))
    last = math.ceil(math.log10(high))
    return first, max(last, first + 1)


def power_text(exponent):
    value = 10.0 ** exponent
    return f"{value:,.0f}" if exponent >= 0 else f"{value:g}"


def text(x, y, words, size=11, anchor="start", colour="#222222", bold=False):
    weight = ' font-weight="bold"' if bold else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}"{weight}>{html.escape(words)}</text>')


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def legend(names, colours):
    parts, x = [], 16.0
    for name in names:
        parts.append(f'<circle cx="{x + 5:.1f}" cy="55" r="5" fill="{colours[name]}"/>')
        parts.append(text(x + 15, 59, name))
        x += 33 + 7 * len(name)
    return parts


def dot_chart(title, axis, rows, names):
    """`rows`: [(label, {name: Dot})]. Values must be above 0. Empty text: nothing to draw."""
    dots = [dot for _, by_name in rows for dot in by_name.values()]
    if not dots:
        return ""
    others = [name for name in names if name not in COLOUR_OF]
    colours = COLOUR_OF | {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}
    shown = [name for name in names if any(name in by_name for _, by_name in rows)]
    first, last = powers_around(min(dot.low for dot in dots), max(dot.high for dot in dots))

    def x_of(value):
        share = (math.log10(value) - first) / (last - first)
        return LABEL_WIDTH + share * (WIDTH - LABEL_WIDTH - RIGHT)

    heights = [LANE * max(len(by_name), 1) + ROW_GAP for _, by_name in rows]
    bottom = TOP + sum(heights)
    parts = [f'<rect width="{WIDTH}" height="{bottom + BOTTOM}" fill="#ffffff"/>',
             text(16, 28, title, 16, bold=True), *legend(shown, colours)]
    for exponent in range(first, last + 1):
        x = x_of(10.0 ** exponent)
        parts.append(line(x, TOP - 6, x, bottom, "#c8c8c8"))
        parts.append(text(x, bottom + 16, power_text(exponent), anchor="middle"))
        for part in range(2, 10) if exponent < last else ():
            x = x_of(part * 10.0 ** exponent)
            parts.append(line(x, TOP - 6, x, bottom, "#eeeeee"))
    parts.append(text((LABEL_WIDTH + WIDTH - RIGHT) / 2, bottom + 36, axis, 12, "middle"))

    top = TOP
    for (label, by_name), height in zip(rows, heights):
        parts.append(line(16, top - ROW_GAP / 2, WIDTH - 16, top - ROW_GAP / 2, "#e0e0e0"))
        parts.append(text(LABEL_WIDTH - 12, top + (height - ROW_GAP) / 2 + 4, label,
                          anchor="end"))
        y = top + LANE / 2
        for name in shown:
            if name not in by_name:
                continue
            dot = by_name[name]
            parts.append(line(x_of(dot.low), y, x_of(dot.high), y, colours[name], 2))
            parts.append(f'<circle cx="{x_of(dot.value):.1f}" cy="{y:.1f}" r="4.5" '
                         f'fill="{colours[name]}"/>')
            parts.append(text(max(x_of(dot.high), x_of(dot.value) + 4.5) + 5, y + 4, dot.text, 10,
                              colour=colours[name]))
            y += LANE
        top += height
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BOTTOM}" '
            f'width="{WIDTH}" height="{bottom + BOTTOM}" role="img" {FONT}>\n'
            f'<title>{html.escape(title)}</title>\n{body}\n</svg>\n')
