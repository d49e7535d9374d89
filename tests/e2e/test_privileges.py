"""Who the server is: root until its sockets are open and its keys are read, then node.user."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import stat
import unittest

import configured
import harness

USER = "daemon"  # in every Debian; with no right to anything
PLAIN = """
node: {user: %s}
listeners: [{name: mqtt, bind: "127.0.0.1:0"}]
authentication: {allow_anonymous: loopback}
policies: {directory: "{folder}/policies"}
""" % USER
TLS = """
node: {user: %s}
listeners:
  - name: tls
    bind: "127.0.0.1:0"
    tls: {certificates: [{certificate: "{folder}/server.pem", key: "{folder}/server.key"}]}
""" % USER
TLS_AND_LOCAL = TLS + '  - {name: local, bind: "unix:{folder}/mqtt.sock"}\n'


def needs_root(test):
    return unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")(test)


def tasks_of(pid):
    """What the kernel says of each thread: {"Uid": ["1", "1", "1", "1"], ...}."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        yield {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@harness.only_mitud("its users and groups")
class Privileges(unittest.TestCase):
    def folder(self):
        """One that belongs to the user, as /run/mitu does."""
        folder = harness.temporary_folder(self)
        (folder / "policies").mkdir()
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        return folder

    def serve(self, text, folder):
        server = configured.ConfiguredServer(text, folder)
        self.addCleanup(server.stop)
        return server

    @needs_root
    def test_root_becomes_the_user_in_every_thread_and_serves(self):
        folder = self.folder()
        server = self.serve(PLAIN, folder)
        entry = pwd.getpwnam(USER)
        tasks = list(tasks_of(server.process.pid))
        self.assertGreater(len(tasks), 4)
        for task in tasks:
            self.assertEqual(task["Uid"], [str(entry.pw_uid)] * 4, task["Name"])
            self.assertEqual(task["Gid"], [str(entry.pw_gid)] * 4, task["Name"])
            self.assertNotIn("0", task["Groups"])
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(task[capabilities][0], 16), 0, (task["Name"], capabilities))
            self.assertEqual(task["NoNewPrivs"], ["1"], task["Name"])
        limits = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        self.assertIn(core.split()[4], ("0", "1"))
        data = (folder / "data").stat()
        self.assertEqual((data.st_uid, data.st_mode & 0o777), (entry.pw_uid, 0o750))
        self.assertEqual((folder / "data/managed.yaml").stat().st_uid, entry.pw_uid)
        harness.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", server.port("mqtt"),
                     *("-t", "a", "-m", "b", "-q", "1")])
        self.assertEqual(server.process.terminate(), 0)

    @needs_root
    def test_a_worker_that_is_started_again_becomes_the_user_and_ends_with_its_supervisor(self):
        server = configured.ConfiguredServer(TLS_AND_LOCAL, self.with_key(), supervised=True)
        self.addCleanup(server.stop)
        first = harness.worker_of(server.process.pid)
        harness.eventually(lambda: server.events("worker_serves"), "the supervisor knows it")
        os.kill(first, signal.SIGKILL)
        harness.eventually(lambda: len(server.events("worker_serves")) == 2,
                           lambda: server.process.output())
        worker = harness.worker_of(server.process.pid)
        uid = str(pwd.getpwnam(USER).pw_uid)
        for task in tasks_of(worker):
            self.assertEqual(task["Uid"], [uid] * 4, task["Name"])
        # The kernel forgets who a process ends with when it changes its user.
        server.process.kill()
        harness.eventually(lambda: not pathlib.Path(f"/proc/{worker}").exists(), "the worker ends")

    def with_key(self):
        """A folder with a key that only root may read: each worker must do so again."""
        folder = self.folder()
        _, key = configured.Authority(folder).issue("server")
        key.chmod(0o600)
        return folder

    @needs_root
    def test_a_link_in_the_data_directory_leads_root_nowhere(self):
        folder = self.folder()
        (folder / "closed").mkdir(mode=0o700)
        (folder / "data").mkdir()
        (folder / "data/managed.yaml").symlink_to(folder / "closed/planted")
        shutil.chown(folder / "data", USER, USER)
        self.serve(PLAIN, folder)
        self.assertEqual(list((folder / "closed").iterdir()), [])
        # Who may not look where it leads, takes the link for the file, and puts one in its place.
        stamped = (folder / "data/managed.yaml").lstat()
        self.assertTrue(stat.S_ISREG(stamped.st_mode))
        self.assertEqual(stamped.st_uid, pwd.getpwnam(USER).pw_uid)

    @needs_root
    def test_a_data_directory_of_somebody_else_is_refused_with_the_remedy(self):
        folder = self.folder()
        (folder / "data").mkdir(mode=0o755)
        with self.assertRaises(AssertionError) as refused:
            self.serve(PLAIN, folder)
        self.assertIn(f"which {USER} (uid 1) cannot write (Permission denied)", str(refused.exception))
        self.assertIn("chown --recursive 1 ", str(refused.exception))

    @needs_root
    def test_a_key_that_a_reload_cannot_read_is_named_and_the_old_one_stays(self):
        folder = self.folder()
        authority = configured.Authority(folder)
        certificate, key = authority.issue("server")
        key.chmod(0o600)
        server = self.serve(TLS, folder)
        warned = server.events("file_unreadable")
        self.assertEqual([entry["user"] for entry in warned], [f"{USER} (uid 1)"])
        self.assertIn(str(key), warned[0]["problem"])

        server.reload()
        refused = server.events("certificates_refused")[0]
        self.assertEqual(refused["user"], f"{USER} (uid 1)")
        self.assertIn(str(key), refused["reason"])
        connect = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port('tls')}",
                   *("-CAfile", authority.certificate, "-verify_return_error", "-brief")]
        _, said = harness.run(connect, stdin=b"")
        self.assertIn("Verification: OK", said)

        shutil.chown(key, group=USER)
        key.chmod(0o640)
        server.reload()
        self.assertTrue(server.events("certificates_reloaded"))

    @needs_root
    def test_root_without_a_user_is_warned_and_who_says_root_is_not(self):
        plain = PLAIN.replace("node: {user: %s}\n" % USER, "")
        self.assertIn("node.user", self.serve(plain, self.folder()).events("running_as_root")[0]["remedy"])
        meant = self.serve(PLAIN.replace(USER, "root"), self.folder())
        self.assertEqual(meant.events("running_as_root"), [])
        self.assertTrue(all(task["NoNewPrivs"] == ["1"] for task in tasks_of(meant.process.pid)))

    @needs_root
    def test_a_port_below_1024_needs_one_capability_which_is_given_up(self):
        """As the unit starts it: never root, with CAP_NET_BIND_SERVICE, in a network of its own."""
        folder = self.folder()
        program = shutil.copy(harness.BIN_DIR / "mitud", folder / "mitud")
        (folder / "data").mkdir()
        shutil.chown(folder / "data", USER, USER)
        (folder / "mitud.yaml").write_text(
            'node: {user: %s}\nlisteners: [{name: mqtt, bind: "127.0.0.1:883"}]\n' % USER
        )
        as_unit = ["unshare", "--net", "setpriv", "--reuid", USER, "--regid", USER, "--init-groups",
                   "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service", "--"]
        if harness.run([*as_unit, "true"], check=False)[0] != 0:
            self.skipTest("no network of its own may be had here")
        server = harness.Process(
            [*as_unit, program, "--config", folder / "mitud.yaml", "--data", folder / "data",
             *("--http", "127.0.0.1:0", "--port-file", folder / "data/ports.json", "--shards", "1")]
        )
        self.addCleanup(server.kill)
        harness.eventually(
            lambda: (folder / "data/ports.json").exists() or not server.is_running(), "mitud serves"
        )
        self.assertTrue(server.is_running(), server.output())
        for task in tasks_of(harness.worker_of(server.pid)):
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(int(task[capabilities][0], 16), 0, (task["Name"], capabilities))

    def test_who_is_not_root_becomes_nobody_else(self):
        folder = self.folder()
        program = shutil.copy(harness.BIN_DIR / "mitud", folder / "mitud")
        (folder / "mitud.yaml").write_text(
            PLAIN.replace(USER, "nobody").replace("{folder}", str(folder))
        )
        as_user = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
        status, said = harness.run(
            [*(as_user if os.geteuid() == 0 else []), program, "--config", folder / "mitud.yaml",
             "--data", folder / "data"],
            check=False,
        )
        self.assertEqual(status, 2)
        self.assertIn("node.user is nobody, but the server was started as", said)
        self.assertFalse((folder / "data").exists())

    def test_a_user_that_is_not_there_is_refused_with_the_remedy(self):
        folder = self.folder()
        for wrong, says in (
            ("user: no-such-user", "useradd --system"),
            ("user: root, group: no-such-group", "groupadd --system"),
            ("group: daemon", "node.group is \"daemon\" without node.user"),
        ):
            (folder / "mitud.yaml").write_text("node: {%s}\n" % wrong)
            status, said = harness.run(
                [harness.BIN_DIR / "mitud", "--config", folder / "mitud.yaml", "--data", folder / "data"],
                check=False,
            )
            self.assertEqual(status, 2)
            self.assertIn(says, said)

    def test_systemd_hears_what_the_server_does(self):
        folder = self.folder()
        path = folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(harness.PATIENCE_S)
            manager.bind(str(path))
            path.chmod(0o777)
            (folder / "mitud.yaml").write_text('listeners: [{name: mqtt, bind: "127.0.0.1:0"}]\n')
            server = harness.Process(
                [harness.BIN_DIR / "mitud", "--config", folder / "mitud.yaml", "--http", "127.0.0.1:0",
                 "--data", folder / "data", "--shards", "1"],
                environment={"NOTIFY_SOCKET": str(path)},
            )
            self.addCleanup(server.kill)
            self.assertRegex(manager.recv(512).decode(), r"\AREADY=1\nSTATUS=serving; MQTT on port \d+\Z")
            os.kill(server.pid, signal.SIGHUP)
            self.assertRegex(manager.recv(512).decode(), r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
            self.assertTrue(manager.recv(512).startswith(b"READY=1\n"))
            os.kill(server.pid, signal.SIGTERM)
            self.assertEqual(manager.recv(512), b"STOPPING=1")
            self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
