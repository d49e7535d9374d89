"""What profilers print, read: stacks of `perf script`, calls of `perf trace` and `strace`, instructions of
`callgrind_annotate`."""

import os
import re

# A frame of the kernel, as those who draw flame graphs mark it.
KERNEL = "_[k]"

FRAME = re.compile(r"\s+(?P<address>[0-9a-f]+) (?P<symbol>.+) \((?P<object>.*)\)$")
HEAD = re.compile(r"(?P<thread>\S.*?)\s+\d+(?:/\d+)?\s+(?P<seconds>\d+\.\d+):")
KERNEL_OBJECTS = ("[kernel.kallsyms]", "[guest.kernel.kallsyms]", "[vdso]")


def frame_name(symbol, path):
    if symbol == "[unknown]":
        return f"[{os.path.basename(path)}]" if path not in ("", "[unknown]") else "[unknown]"
    if path in KERNEL_OBJECTS or path.endswith(".ko") or path.startswith("[kernel"):
        return symbol + KERNEL
    return symbol


def fold(text, begin=None, end=None):
    """`perf script -F comm,tid,time,ip,sym,dso` as {(thread, outermost, ..., innermost): samples}, of those
    between the seconds `begin` and `end` of perf's clock, if they are given."""
    folded = {}
    thread, frames = None, []

    def close():
        if thread is not None:
            stack = (thread, *reversed(frames))
            folded[stack] = folded.get(stack, 0) + 1

    for line in text.splitlines():
        if found := FRAME.fullmatch(line):
            if thread is not None:
                frames.append(frame_name(found["symbol"], found["object"]))
        elif found := HEAD.match(line):
            close()
            seconds = float(found["seconds"])
            is_within = (begin is None or seconds >= begin) and (end is None or seconds < end)
            thread, frames = found["thread"] if is_within else None, []
    close()
    return folded


def to_folded_lines(folded):
    """As other tools read them: one stack a line, its frames between semicolons."""
    return "".join(f"{';'.join(frame.replace(';', ',') for frame in stack)} {count}\n"
                   for stack, count in sorted(folded.items()))


def shares(folded):
    """[(name, share with callees, share alone)] of the samples, the most alone first."""
    total = sum(folded.values())
    inclusive, alone = {}, {}
    for stack, count in folded.items():
        for name in set(stack[1:]):
            inclusive[name] = inclusive.get(name, 0) + count
        if len(stack) > 1:
            alone[stack[-1]] = alone.get(stack[-1], 0) + count
    rows = [(name, count / total, alone.get(name, 0) / total) for name, count in inclusive.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))


def calls_by_perf(text):
    """{system call: how often} from `perf trace --summary`, all threads together."""
    calls = {}
    for line in text.splitlines():
        if found := re.match(r"\s+(\w+)\s+(\d+)\s+\d+\s+[\d.]+\s", line):
            calls[found[1]] = calls.get(found[1], 0) + int(found[2])
    return calls


def calls_by_strace(text):
    """{system call: how often} from `strace -c`."""
    calls = {}
    for line in text.splitlines():
        fields = line.split()
        # % time, seconds, usecs/call, calls, perhaps errors, name
        if len(fields) in (5, 6) and re.fullmatch(r"[\d.]+", fields[0]) and fields[3].isdigit() \
                and fields[-1] != "total":
            calls[fields[-1]] = calls.get(fields[-1], 0) + int(fields[3])
    return calls


def without_arguments(name):
    """A demangled name without its parameters, and without `const` behind them."""
    name = re.sub(r"'\d+$", "", name)  # callgrind: a deeper turn of a recursion
    templates = 0
    for at, letter in enumerate(name):
        # operator() and operator< and their like have such letters in their names.
        if re.search(r"operator$" if letter == "(" else r"operator[<>=-]*$", name[:at]):
            continue
        if letter in "<>":
            templates += 1 if letter == "<" else -1
        elif letter == "(" and templates == 0 and at > 0 and not name.startswith("(anonymous", at):
            return name[:at]
    return name


def instructions(text):
    """(all, {function: its own instructions}) from `callgrind_annotate --threshold=100`."""
    total, by_function = 0, {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*?)(?: \[[^\]]*\])?$", line)
        if not found:
            continue
        count = int(found[1].replace(",", ""))
        if found[2] == "PROGRAM TOTALS":
            total = count
            continue
        name = without_arguments(found[2].partition(":")[2])
        by_function[name] = by_function.get(name, 0) + count
    return total, by_function


def per_message(short, long, short_messages, long_messages):
    """What each message between a short run and a long one took; starting and connecting cancel out.
    `short`, `long`: as instructions() returns them."""
    messages = long_messages - short_messages
    if messages <= 0:
        raise ValueError("the longer run delivered no more than the shorter one")
    names = {*short[1], *long[1]}
    each = {name: (long[1].get(name, 0) - short[1].get(name, 0)) / messages for name in names}
    return (long[0] - short[0]) / messages, each
