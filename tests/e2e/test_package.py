"""The Debian package: what is in it, and that the server runs as it installs it."""

import configparser
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]


def can_have_a_copy():
    """Whether this process may mount a layer over its root, as the tests of CI's machine may."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        script = (f"mount -t tmpfs t {folder} && cd {folder} && mkdir u w r && "
                  "mount -t overlay o -o lowerdir=/,upperdir=u,workdir=w r")
        return subprocess.run([*NAMESPACES, "sh", "-c", script], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0


def is_installed():
    return subprocess.run(["dpkg-query", "--show", "mitu"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


class Unit(configparser.RawConfigParser):
    """A systemd unit; of keys that come several times, all values."""

    def __init__(self, text):
        super().__init__(strict=False, delimiters="=", comment_prefixes="#", interpolation=None)
        self.optionxform = str
        self.all = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
        self.read_string(text)

    def values(self, key):
        return [value for name, value in self.all if name == key]


@harness.only_mitud("its package")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mitu-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.folder.chmod(0o755)  # other users serve from it
        cls.package = cls.build("first")
        cls.root = cls.folder / "root"
        harness.run(["dpkg-deb", "--extract", cls.package, cls.root])

    @classmethod
    def build(cls, name):
        # Packed lightly: a test's package is not sent anywhere.
        light = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
        _, said = harness.run(
            [harness.REPOSITORY / "deploy/debian/build", harness.BIN_DIR, cls.folder / name],
            patience_s=120, environment={**os.environ, **light},
        )
        return pathlib.Path(said.splitlines()[-1])

    def field(self, name):
        return harness.run(["dpkg-deb", "--field", self.package, name])[1].strip()

    def test_holds_what_it_should_and_nothing_that_anybody_may_write(self):
        _, listing = harness.run(["dpkg-deb", "--contents", self.package])
        files = {}
        for line in listing.splitlines():
            mode, owner, *_, path = line.split()
            self.assertEqual(owner, "root/root", path)
            self.assertNotRegex(mode, r"^.{8}w|[sS]|t$", path)
            if not mode.startswith("d"):
                files[path.removeprefix(".")] = mode
        self.assertEqual(
            {path: mode for path, mode in files.items() if not path.startswith("/usr/share/")},
            {
                "/etc/mitu/mitud.yaml": "-rw-r--r--",
                "/lib/systemd/system/mitud.service": "-rw-r--r--",
                "/usr/bin/mitu": "-rwxr-xr-x",
                "/usr/bin/mitud": "-rwxr-xr-x",
            },
        )
        for path in ("/usr/share/doc/mitu/copyright", "/usr/share/doc/mitu/changelog.gz",
                     "/usr/share/man/man8/mitud.8.gz", "/usr/share/man/man1/mitu.1.gz",
                     "/usr/share/doc/mitu/configuration.md", "/usr/share/doc/mitu/security.md",
                     "/usr/share/doc/mitu/examples/mitud.yaml"):
            self.assertIn(path, files)

    def test_says_what_it_needs_and_what_is_the_administrators(self):
        self.assertEqual(self.field("Package"), "mitu")
        self.assertIn(self.field("Version"), harness.run([harness.BIN_DIR / "mitud", "--version"])[1])
        for needed in ("libc6 (>= ", "libssl3", "libsodium23", "adduser", "init-system-helpers"):
            self.assertIn(needed, self.field("Depends"))
        control = self.folder / "control"
        harness.run(["dpkg-deb", "--control", self.package, control])
        self.assertEqual((control / "conffiles").read_text(), "/etc/mitu/mitud.yaml\n")
        for script in ("postinst", "prerm", "postrm"):
            harness.run(["sh", "-n", control / script])
        sums = dict(reversed(line.split("  ")) for line in (control / "md5sums").read_text().splitlines())
        for path, expected in sums.items():
            self.assertEqual(hashlib.md5((self.root / path).read_bytes()).hexdigest(), expected, path)

    def test_the_same_binaries_give_the_same_bytes(self):
        self.assertEqual(self.build("second").read_bytes(), self.package.read_bytes())

    def test_the_unit_is_never_root_and_may_little(self):
        text = (self.root / "lib/systemd/system/mitud.service").read_text()
        unit = Unit(text)
        service = unit["Service"]
        for key, value in {
            "Type": "notify", "User": "mitu", "Group": "mitu", "ProtectSystem": "strict",
            "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "NoNewPrivileges": "yes",
            "MemoryDenyWriteExecute": "yes", "StateDirectory": "mitu", "RuntimeDirectory": "mitu",
            "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        }.items():
            self.assertEqual(service[key], value)
        filters = unit.values("SystemCallFilter")
        self.assertEqual(filters[0], "@system-service")
        # What @privileged takes away and the server needs: a group for its sockets, and to give up
        # the capability that the unit starts it with.
        self.assertLessEqual({"@chown", "capset"}, set(filters[-1].split()))
        self.assertEqual(service["AmbientCapabilities"], "CAP_NET_BIND_SERVICE")
        self.assertGreaterEqual(int(service["LimitNOFILE"]), 1_000_000)
        if shutil.which("systemd-analyze") is None:
            return  # the rest asks systemd itself
        path = self.root / "lib/systemd/system/mitud.service"
        _, judged = harness.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path])
        exposure = float(re.search(r"exposure level for mitud.service: ([\d.]+)", judged).group(1))
        self.assertLessEqual(exposure, 2.0, judged)

    def test_the_shipped_configuration_serves_and_refuses_who_is_nobody(self):
        """As it is, but for ports that are free and a user and a folder that are here."""
        root = os.geteuid() == 0
        text = (self.root / "etc/mitu/mitud.yaml").read_text()
        shipped, data = self.folder / "shipped.yaml", self.folder / "data"
        shipped.write_text(text if root else text.replace("  user: mitu\n", ""))
        port_file = data / "ports.json"
        server = harness.Process(
            [self.root / "usr/bin/mitud", "--config", shipped, "--listen", "tcp://127.0.0.1:0",
             *("--http", "127.0.0.1:0", "--data", data, "--port-file", port_file)],
            environment={"MITU__NODE__USER": "daemon"} if root else None,
        )
        self.addCleanup(server.kill)
        harness.eventually(lambda: port_file.exists() or not server.is_running(), "mitud serves")
        self.assertTrue(server.is_running(), server.output())
        port = json.loads(port_file.read_text())["mqtt"]
        status, said = harness.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-t", "a", "-m", "1", "-q", "1"], check=False
        )
        self.assertNotEqual(status, 0, said)
        self.assertIn("not authori", said.lower())
        self.assertEqual(server.terminate(), 0)

    @unittest.skipUnless(can_have_a_copy(), "no layer may be mounted over the root here")
    @unittest.skipIf(is_installed(), "mitu is installed on this machine")
    def test_installs_runs_as_its_user_and_goes_without_a_trace(self):
        script = pathlib.Path(__file__).with_name("package_installed.py")
        status, said = harness.run([*NAMESPACES, "/usr/bin/python3", script, self.package],
                                   patience_s=120, check=False)
        self.assertEqual(status, 0, said)
        found = json.loads(said.splitlines()[-1])
        self.assertEqual(found["warnings"], [])
        self.assertEqual((found["etc"], found["data"]), ("root 750", "mitu 750"))
        self.assertEqual(found["shell"], "/usr/sbin/nologin")
        self.assertEqual(found["added"][0], 0, found["added"])
        self.assertEqual(found["runs_as"], "mitu")
        self.assertEqual(found["registered"], 0)
        self.assertNotEqual(found["wrong_password"], 0)
        self.assertNotEqual(found["anonymous"], 0)
        self.assertEqual(found["ended_with"], 0)
        self.assertTrue(found["keeps_my_configuration"])
        self.assertEqual(found["after_removal"], [False, True, True])
        self.assertEqual(found["after_purge"], [False, False])


if __name__ == "__main__":
    unittest.main()
