"""docs/performance: the charts of one result and the page that says what they were measured on."""

import os

from harness import allocations, charts, durability, figures, price, report, shards, targets
from harness.machine import cores_text


def markdown_table(head, rows):
    def row(texts):
        return "| " + " | ".join(texts) + " |"

    rule = "|" + "|".join(["---", *["--:"] * (len(head) - 2), "---"]) + "|"
    return "\n".join([row(head), rule, *map(row, rows)])


def cores_of(settings, who):
    """Results from before a broker could have several name one core."""
    return cores_text(settings.get(f"{who}_cores") or [settings.get(f"{who}_core")])


def facts(document, link):
    machine, build, settings = (document.get(key) or {} for key in ("machine", "build", "settings"))
    commit = document.get("commit") or "unknown"
    versions = [name + (f" ({about['version']})" if about.get("version") else "")
                for name, about in document["brokers"].items()]
    lines = [
        ("when", document["started"]),
        ("commit", f"`{commit}`" + (", with changes" if document.get("changed") else "")),
        ("command", f"`{document['command']}`"),
        ("machine", f"{machine.get('cpu')}, {machine.get('cores')} cores, "
                    f"{machine.get('memory_mib', 0):,} MiB, Linux {machine.get('kernel')}"),
        ("built by", f"{build.get('compiler')}, `{build.get('flags')}`"),
        ("brokers", ", ".join(versions)),
        ("method", f"{settings.get('repeat')} turns of {settings.get('seconds'):g} s after "
                   f"{settings.get('warmup_s'):g} s of warm-up; broker on {cores_of(settings, 'broker')}, generator on "
                   f"{cores_of(settings, 'generator')}; there is no randomness and so no seed"),
    ]
    features = document["brokers"].get("mitu", {}).get("features")
    if features:
        lines.append(("switched on in mitu", ", ".join(features)))
    if link:
        lines.append(("all figures", f"[{os.path.basename(link)}]({link})"))
    return "\n".join(f"- {name}: {value}" for name, value in lines)


WIRE_METRICS = (("logins_per_core_s", "log-ins per second of CPU"),
                ("cpu_us", "CPU per message, us"),
                ("bytes_per_connection", "bytes of an idle connection"))


def wires(document):
    """Mitu beside mosquitto, with TLS and WebSocket and, of log-ins and connections, without."""
    rows = []
    for metric, label in WIRE_METRICS:
        for entry in document["scenarios"]:
            kind = entry["arguments"][0]
            if (kind == "handshake") != (metric == "logins_per_core_s"):
                continue
            if kind not in ("handshake", "connect") and not figures.has_wire(entry):
                continue
            if (kind == "connect") != (metric == "bytes_per_connection"):
                continue
            found = [figures.metric_of(entry, name, metric) for name in ("mitu", "mosquitto")]
            if not any(found):
                continue
            ratio = entry["ratios"].get("mitu / mosquitto", {}).get(metric)
            rows.append([entry["name"], *map(report.cell, found), report.ratio_cell(ratio), label])
    if not any(figures.has_wire(entry) for entry in document["scenarios"]):
        return []
    return ["## TLS and WebSocket", "Both brokers have the same certificates (P-256), protocol, "
            "cipher (AES-128-GCM) and group (X25519). A log-in is a connection that is set up, shakes "
            "hands where there is TLS, sends CONNECT, gets CONNACK, and is cut.",
            markdown_table(["", "Mitu", "mosquitto", "Mitu / mosquitto", "of"], rows)]


def page(document, drawn, result_link):
    names = list(document["brokers"])
    judged = document.get("targets") or targets.judge(document["scenarios"])
    remarks = report.remarks(document["scenarios"], names)
    parts = [
        "# Performance",
        "Drawn by `./dev bench --save`, or `--from`, from one result; do not edit. What is measured, and how, is in "
        "[bench/README.md](../../bench/README.md).",
        facts(document, result_link),
        "## Targets",
        "`Mitu` is a median, as a ratio where the unit says `times`: formed turn by turn against "
        "what ran in the same turn.",
        markdown_table(["", *targets.HEAD[1:4], "unit", "verdict"],
                       [targets.cells(row) for row in judged]),
    ]
    parts += wires(document)
    kept = durability.tables(figures.split(document["scenarios"])[0])
    if kept:
        parts += ["## Durability", "\n".join(f"- {note}" for note in durability.NOTES)]
        for title, head, rows in kept:
            parts += [title, markdown_table([*head, ""], [[*row, ""] for row in rows])]
    if document.get("price"):
        parts += ["## The price of each", "Mitu with one of access checks, limits, tenants and metrics "
                  "switched on, and with all of them, as a ratio to the broker without any, turn by "
                  "turn. All other figures of Mitu on this page are with all of them.",
                  markdown_table([*price.head(document["price"])],
                                 map(price.cells, document["price"])),
                  price.typical(document["price"])]
    if document.get("allocation_modes"):
        parts += ["## Allocation modes", "Mitu with its batches as a ratio to mitud with one "
                  "allocation for each message and each queued reference, turn by turn; `*`: a broker had "
                  "CPU time left.",
                  markdown_table([*allocations.HEAD[:-1], "verdict"],
                                 map(allocations.cells, document["allocation_modes"]))]
    if document.get("shards"):
        parts += ["## Shards", "Two shards as a ratio to one on the same cores, turn by turn. `possible`: what two could "
                  "deliver at best beside this generator; `busy`: cores used.",
                  markdown_table([*shards.HEAD[:-1], "verdict"],
                                 map(shards.cells, document["shards"]))]
    if remarks:
        parts += ["## To know before believing it", "\n".join(f"- {line}" for line in remarks)]
    parts.append("## Charts")
    parts += [f"![{title}]({name})" for name, title in drawn]
    return "\n\n".join(parts) + "\n"


def write(document, folder, result_path=None):
    """Charts and README.md into `folder`; `result_path`: where the whole result is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = charts.write(document["scenarios"], list(document["brokers"]), folder)
    link = os.path.relpath(result_path, folder) if result_path else None
    (folder / "README.md").write_text(page(document, drawn, link))
