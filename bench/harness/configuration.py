"""What mitud is told in a comparison: its listener, and what an operator switches on.

Each feature really works: a policy is compiled for the clients, buckets are filled and emptied,
quotas counted; the bounds are only so wide that no scenario runs into one."""

from harness import certificates

# access   a policy whose publish and subscribe filters each topic is matched against, with the
#          client's own id in some of them and a deny among them
# limits   message rate, payload and queue of each client; rates of listener and server; a memory
#          budget; flapping detection
# tenants  the clients are one of 20 tenants' with every quota there is
# metrics  /metrics is asked for once a second (see Bench.load)
FEATURES = ("access", "limits", "tenants", "metrics")

TENANTS = [f"fleet-{k:02}" for k in range(20)]
TENANT = TENANTS[7]  # whose the clients are
WIDE = 4_000_000_000

ACCESS = """
  publish:
    allow:
      - "t/${device}/#"
      - "$mitu/things/${device}/shadow/name/+/update"
      - "+/${device}/telemetry"
      - "fleet/#"
    deny: ["t/${device}/factory/#", "+/${device}/secret"]
  subscribe:
    allow:
      - "c/${device}/#"
      - "b/${class}/#"
      - "$mitu/things/${device}/shadow/name/+/#"
      - "pair/+/telemetry"
      - "all/+/telemetry"
      - "shared/+/telemetry"
      - "fleet/#"
      - "+/+/+/#"
    deny: ["c/${device}/factory/#", "+/+/secret"]
"""
EVERYTHING = """
  publish: {allow: ["#"]}
  subscribe: {allow: ["#"]}
"""
CLIENT_LIMITS = """limits:
  message_rate: {per_second: 1000000, burst: 1000000}
  payload_bytes_max: 262144
  queue_messages_max: 10000
  queue_bytes_max: 67108864
"""
LISTENER_LIMITS = """    limits:
      connections_max: 100000
      connect_rate_per_s: 1000000
      connect_burst: 1000000
      packet_bytes_max: 1MiB
"""
SERVER_LIMITS = """limits:
  shard_sessions_max: 4000000
  connect_rate_per_s: 1000000
  retained_messages_max: 4000000000
  retained_bytes_max: 16GiB
memory: {budget_bytes: 64GiB}
flapping: {enabled: true, connects_max: 1000000}
"""
QUOTAS = ("connections_max", "connect_rate_per_s", "messages_per_s", "subscriptions_max",
          "retained_messages_max")
BYTE_QUOTAS = ("bytes_per_s", "retained_bytes_max", "queue_bytes_max")


def listener(scenario, features, port):
    lines = ["listeners:", "  - name: bench", f'    bind: "127.0.0.1:{port}"']
    if scenario.websocket:
        lines += ["    protocol: websocket", "    websocket: {path: /mqtt}"]
    if scenario.tls:
        files = certificates.made()
        lines += ["    tls:", f"      certificates: [{{certificate: {files.server}, "
                              f"key: {files.server_key}}}]"]
        if scenario.client_certificates:
            lines += ["      client_certificates: required", f"      ca_file: {files.ca}"]
    if "tenants" in features:
        lines.append(f"    tenant: {TENANT}")
    return "\n".join(lines) + "\n" + (LISTENER_LIMITS if "limits" in features else "")


def tenants():
    quotas = ", ".join([f"{name}: {WIDE}" for name in QUOTAS]
                       + [f"{name}: 1TiB" for name in BYTE_QUOTAS] + ["reserved_connections: 100"])
    return "tenants:\n" + "".join(f"  - {{name: {name}, limits: {{{quotas}}}}}\n"
                                  for name in TENANTS)


def client_limits(scenario):
    """Who is away has all that comes meanwhile; else these are the defaults."""
    if scenario.shape != "queued":
        return CLIENT_LIMITS
    return CLIENT_LIMITS.replace(": 10000\n", ": 10000000\n").replace("67108864", "17179869184")


def policy(scenario, features):
    tenant = TENANT if "tenants" in features else "default"
    name = "bench" if "tenants" in features else "default"  # the latter overlays the built-in one
    declared = "".join(f"kind: Tenant\nname: {name}\n---\n" for name in TENANTS) \
        if "tenants" in features else ""
    return (f"{declared}kind: Policy\n"
            f"name: {name}\nrevision: 2\nselector: {{tenant: {tenant}}}\n"
            f"access:{ACCESS if 'access' in features else EVERYTHING}"
            f"{client_limits(scenario) if 'limits' in features else ''}")


def write(folder, scenario, features, durability=None, port=0):
    """mitud.yaml and what it names, in `folder`, whose data stay as they are. Returns the words that
    make mitud read it. `port`: 0: any."""
    (folder / "data").mkdir(exist_ok=True)
    parts = [listener(scenario, features, port), "authentication: {allow_anonymous: always}\n",
             'api: {bind: "127.0.0.1:0"}\n', f"node: {{data: {folder / 'data'}}}\n"]
    small = ", cache_bytes: 8MiB, write_buffer_bytes: 16MiB" if scenario.small_store else ""
    parts += [f"store: {{durability: {durability}{small}}}\n"] if durability else []
    parts += [SERVER_LIMITS] if "limits" in features else []
    parts += [tenants()] if "tenants" in features else []
    if {"access", "limits", "tenants"} & set(features):
        (folder / "policies").mkdir(exist_ok=True)
        (folder / "policies" / "bench.yaml").write_text(policy(scenario, features))
        parts.append(f"policies: {{directory: {folder / 'policies'}}}\n")
    path = folder / "mitud.yaml"
    path.write_text("\n".join(parts))
    return ["--config", str(path)]
