"""Installs a package into a copy of this machine that is thrown away, and tries it there.

    unshare --mount --net --pid --fork --mount-proc python3 package_installed.py PACKAGE

Root of mount, network and process namespaces of its own: what is changed is a layer in memory, the ports
are nobody else's, and what was started ends with it. Prints what it found as JSON.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 30


def run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.returncode, done.stdout


def enter_copy():
    """From here on `/` is a layer over what it was."""
    layers = pathlib.Path(tempfile.mkdtemp(prefix="mitu-package-"))
    run("mount", "-t", "tmpfs", "tmpfs", str(layers))
    upper, work, root = (layers / name for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", str(root))
    run("mount", "--rbind", "/dev", str(root / "dev"))
    run("mount", "-t", "proc", "proc", str(root / "proc"))
    os.chroot(root)
    os.chdir("/")


def bring_loopback_up():
    """SIOCSIFFLAGS with IFF_UP, since iproute2 may not be there."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1))


def await_port(port, server):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"mitud does not listen on {port}:\n{pathlib.Path('/tmp/mitud.log').read_text()}")


def owner_and_mode(path):
    status = os.stat(path)
    return f"{pwd.getpwuid(status.st_uid).pw_name} {status.st_mode & 0o7777:o}"


def serve():
    """The server as installed, started as root by hand: it becomes who the configuration says."""
    found = {}
    with open("/tmp/mitud.log", "wb") as log:
        server = subprocess.Popen(["/usr/bin/mitud", "--config", "/etc/mitu/mitud.yaml"],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        await_port(1883, server)
        await_port(9880, server)
        worker = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
        status = pathlib.Path(f"/proc/{worker}/status").read_text().splitlines()
        found["runs_as"] = pwd.getpwuid(int(next(x for x in status if x.startswith("Uid:")).split()[1])).pw_name
        publish = ["mosquitto_pub", "-h", "127.0.0.1", "-i", "d1", "-t", "t/d1/up", "-m", "1", "-q", "1"]
        found["registered"], _ = run(*publish, "-u", "d1", "-P", "correct horse battery", check=False)
        found["wrong_password"], _ = run(*publish, "-u", "d1", "-P", "wrong", check=False)
        found["anonymous"], _ = run("mosquitto_pub", "-h", "127.0.0.1", "-t", "a", "-m", "1", "-q", "1", check=False)
        found["as_root"] = json.loads(run("mitu", "api-user", "list", "--json", "--url", "unix:/var/lib/mitu/api.sock")[1])
    finally:
        server.terminate()
        found["ended_with"] = server.wait(PATIENCE_S)
    return found


def main(package):
    archive = pathlib.Path(package).read_bytes()  # its folder may be a mount that the copy lacks
    enter_copy()
    bring_loopback_up()
    package = "/mitu.deb"
    pathlib.Path(package).write_bytes(archive)
    found = {}
    _, said = run("dpkg", "--install", package)
    found["warnings"] = [line for line in said.splitlines() if "warning" in line]
    found["etc"], found["data"] = owner_and_mode("/etc/mitu"), owner_and_mode("/var/lib/mitu")
    found["shell"] = pwd.getpwnam("mitu").pw_shell
    found["version"] = run("mitud", "--version")[1].strip()
    # As an administrator adds a device: as the user that the registry belongs to.
    as_mitu = ["setpriv", "--reuid=mitu", "--regid=mitu", "--clear-groups"]
    with open("/tmp/password", "w", encoding="utf-8") as file:
        file.write("correct horse battery\n")
    with open("/tmp/password", encoding="utf-8") as file:
        added = subprocess.run([*as_mitu, "mitu", "device", "add", "d1", *ADD_OPTIONS], stdin=file,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found["added"] = [added.returncode, added.stdout]
    found.update(serve())
    pathlib.Path("/etc/mitu/mitud.yaml").open("a", encoding="utf-8").write("# mine\n")
    run("dpkg", "--force-confold", "--install", package)
    found["keeps_my_configuration"] = "# mine" in pathlib.Path("/etc/mitu/mitud.yaml").read_text()
    run("dpkg", "--remove", "mitu")
    found["after_removal"] = [os.path.exists(x) for x in ("/usr/bin/mitud", "/etc/mitu/mitud.yaml", "/var/lib/mitu")]
    run("dpkg", "--purge", "mitu")
    found["after_purge"] = [os.path.exists(x) for x in ("/etc/mitu", "/var/lib/mitu")]
    print(json.dumps(found))


# Acme's thermostats: a policy that is compiled in selects them.
ADD_OPTIONS = ["--tenant", "acme", "--class", "thermostat", "--registry", "/var/lib/mitu/devices.csv",
               "--password-stdin"]

if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
