"""Our own programs under comparison: the null relay, mitud, and mitud with other arguments."""

import glob
import os
import re
import shlex
import subprocess

from harness import configuration
from harness.brokers import Broker


class NullRelay(Broker):
    name = "null relay"

    def __init__(self, bin_folder):
        self.binary = bin_folder / "mitu-null-relay"

    def missing(self):
        return None if self.binary.exists() else f"{self.binary} is not built"

    def command(self, folder, scenario):
        return [str(self.binary), "--port-file", str(folder / "port.json")], None

    def cannot(self, scenario):
        if scenario.has_wire:
            return "no TLS and no WebSocket"
        return "it matches nothing and keeps nothing" if scenario.needs_broker else None


class Mitu(Broker):
    name = "mitu"
    words = ""  # what makes it differ from mitu
    shards = 1
    features = configuration.FEATURES
    durability = None  # the default
    port = 0           # any
    is_supervised = False

    def __init__(self, bin_folder, extra=()):
        self.binary = bin_folder / "mitud"
        self.extra = list(extra)

    def version(self):
        told = subprocess.run([self.binary, "--version"], capture_output=True, text=True,
                              check=False)
        return told.stdout.strip() or None

    def about(self):
        return {**super().about(), "words": self.words, "shards": self.shards,
                "features": list(self.features)}

    def missing(self):
        return None if self.binary.exists() else f"{self.binary} is not built"

    @property
    def is_scraped(self):
        return "metrics" in self.features

    def command(self, folder, scenario):
        return [str(self.binary), *configuration.write(folder, scenario, self.features, self.durability, self.port),
                "--port-file", str(folder / "port.json"),
                *([] if self.shards is None else ["--shards", str(self.shards)]),
                *([] if self.is_supervised else self.alone()), *self.extra], self.port or None

    def alone(self):
        """What is measured is the process that serves; its death is not to be healed over."""
        if self.missing():
            return []
        helped = subprocess.run([self.binary, "--help"], capture_output=True, text=True, check=False)
        return ["--no-supervisor"] if "--no-supervisor" in helped.stdout else []  # older: has none


# Debian's libraries that variants load, and the package each is in.
PACKAGES = {"libtcmalloc_minimal.so.4": "libtcmalloc-minimal4", "libmimalloc.so.2.0": "libmimalloc2.0"}


class Featured(Mitu):
    """mitud with only some of what is switched on by default."""

    def __init__(self, bin_folder, features):
        super().__init__(bin_folder)
        self.features = tuple(features)
        self.name = f"{Mitu.name} {' '.join(features) or 'bare'}"


class Sharded(Mitu):
    """mitud with some shards on some cores. Its threads go where the kernel lets them go: a pinned
    shard could not make room for a generator that has no core of its own."""

    def __init__(self, bin_folder, shards, cores=None):
        super().__init__(bin_folder, ["--pin", "never"])
        self.shards = shards
        self.cores_wanted = cores
        self.name = (f"{Mitu.name} {shards} shard{'' if shards == 1 else 's'}"
                     f"{f' on {cores} cores' if cores else ''}")


# What is asked for often enough to have a name of its own.
VARIANTS = {
    "tcmalloc": "LD_PRELOAD=libtcmalloc_minimal.so.4",
    "malloc": "--messages-in malloc",
    "malloc+tcmalloc": "LD_PRELOAD=libtcmalloc_minimal.so.4 --messages-in malloc",
    "malloc+mimalloc": "LD_PRELOAD=libmimalloc.so.2.0 --messages-in malloc",
}
# What --allocators adds: mitud without its batches, on each allocator.
ALLOCATORS = ("malloc", "malloc+tcmalloc", "malloc+mimalloc")

ENVIRONMENT_WORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def find_library(name):
    """The path of a shared library: the loader only warns of one that it does not find, and the
    comparison would be of mitud with itself."""
    if os.sep in name:
        return name if os.path.exists(name) else None
    found = [path for pattern in ("/usr/local/lib", "/usr/lib/*", "/lib/*", "/usr/lib")
             for path in glob.glob(f"{pattern}/{name}")]
    return found[0] if found else None


class Variant(Mitu):
    """mitud again, with further arguments or another environment."""

    def __init__(self, bin_folder, text):
        label, equals, words = text.partition("=")
        if not equals and label in VARIANTS:
            words = VARIANTS[label]
        elif not equals or not label or not words.strip():
            raise ValueError(f"--variant {text}: write NAME=ARGUMENTS, NAME=VARIABLE=VALUE ... "
                             f"ARGUMENTS, or one of {', '.join(VARIANTS)}")
        super().__init__(bin_folder)
        self.name = f"mitu {label}"
        self.words = words
        self.variables = {}
        self.extra = shlex.split(words)
        while self.extra and (found := ENVIRONMENT_WORD.fullmatch(self.extra[0])):
            self.variables[found[1]] = found[2]
            self.extra.pop(0)
        if any(word.partition("=")[0] == "--shards" for word in self.extra):
            self.shards = None  # its own words say it
        self.preload = self.variables.get("LD_PRELOAD", "").split()

    def missing(self):
        for name in self.preload:
            if find_library(name) is None:
                package = PACKAGES.get(name)
                return f"there is no {name}" + (f" (Debian: {package})" if package else "")
        return super().missing()

    def environment(self):
        variables = dict(self.variables)
        if self.preload:
            variables["LD_PRELOAD"] = " ".join(map(find_library, self.preload))
        return variables

    def version(self):
        return f"{super().version()}, {self.words}"
