"""A CA, a server and a client certificate for the time of one comparison, the same for all brokers."""

import functools
import pathlib
import subprocess
import tempfile


class Certificates:
    """Made by openssl, on P-256, as fleets have them."""

    def __init__(self):
        self._kept = tempfile.TemporaryDirectory(prefix="mitu-bench-certificates-")
        self.folder = pathlib.Path(self._kept.name)
        self.ca = self.folder / "ca.pem"
        self._openssl("req", "-x509", *self._new_key("ca"), "-out", self.ca, "-days", "2",
                      "-subj", "/CN=bench")
        self.server, self.server_key = self._issue("server", "localhost")
        self.client, self.client_key = self._issue("client", "device")

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.folder / f"{name}.key")

    def _issue(self, name, common_name):
        request, certificate = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        self._openssl("req", *self._new_key(name), "-out", request, "-subj", f"/CN={common_name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
                      self.folder / "ca.key", "-CAcreateserial", "-out", certificate, "-days", "2")
        return certificate, self.folder / f"{name}.key"


@functools.lru_cache(maxsize=1)
def made():
    """Lifetime  they are removed when this process ends."""
    return Certificates()


def generator_words(scenario):
    """Where mitu-bench finds its files; not part of what a result names."""
    if not scenario.tls:
        return []
    words = [f"--ca={made().ca}"]
    if scenario.client_certificates:
        words += [f"--certificate={made().client}", f"--key={made().client_key}"]
    return words
