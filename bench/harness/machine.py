"""The machine, the build and the commit: what a result must name to mean anything."""

import os
import pathlib
import platform
import resource
import subprocess


def raise_open_files():
    """Raises the soft limit of open files to the hard one, for us and all we start; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Cores:
    """Who runs where: each broker on the first cores, the generator on the next one, or, where there
    is none, on all of them, in whatever time the broker leaves."""

    def __init__(self, available, broker=None):
        self.available = list(available)
        self.default = list(broker) if broker else self.available[:1]

    def of_broker(self, count=None):
        """`count`: how many it wants; None: as many as all do."""
        return self.default if count is None else self.available[:count]

    def of_generator(self, broker_cores):
        left = [core for core in self.available if core not in broker_cores]
        return left[:1] or self.available

    def shares(self, broker_cores):
        """Whether the generator has no core of its own."""
        return not set(broker_cores).isdisjoint(self.of_generator(broker_cores))


def cores_text(cores):
    return ("core " if len(cores) == 1 else "cores ") + " and ".join(map(str, cores))


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def describe(open_files):
    memory_kib = 0
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory_kib = int(line.split()[1])
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_kib // 1024,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "open_files_max": open_files,
        "load_average_at_start": os.getloadavg()[0],
    }


def commit(root):
    """The commit of the checkout, and whether files differ from it; both None without git."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(root), *arguments], check=True,
                              capture_output=True, text=True).stdout.strip()
    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def build(bin_folder):
    """Compiler and flags, from the CMake cache of the build that `bin_folder` belongs to."""
    cache = {}
    path = bin_folder.parent / "CMakeCache.txt"
    if not path.exists():
        return {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "//")):
            cache[name.partition(":")[0]] = value
    kind = cache.get("CMAKE_BUILD_TYPE", "")
    flags = f'{cache.get("CMAKE_CXX_FLAGS", "")} {cache.get(f"CMAKE_CXX_FLAGS_{kind.upper()}", "")}'
    compiler = cache.get("CMAKE_CXX_COMPILER", "")
    version = ""
    if compiler:
        told = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
        version = told.stdout.splitlines()[0] if told.stdout else ""
    return {"type": kind, "flags": flags.strip(), "compiler": version or compiler}


def busy_seconds():
    """CPU seconds that all cores have spent on anything but idling since boot, and stolen ones."""
    fields = [int(field) for field in
              pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, steal / tick
