"""A PKCS#11 token in files: SoftHSM 2, from which Zymbit's own module descends."""

import shutil
import subprocess
from pathlib import Path

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"


class SoftHsm:
    """The token `fleet` with the key pair `device`; as a copy, with the same key pair as another token."""

    def __init__(self, folder: Path, *, copy_of: "SoftHsm | None" = None) -> None:
        self._folder = folder
        self.pin_file = folder / "pin"
        if copy_of is not None:
            shutil.copytree(copy_of._folder, folder)
        (folder / "tokens").mkdir(parents=True, exist_ok=True)
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        if copy_of is None:
            self._make()

    def _make(self) -> None:
        self.pin_file.write_text(PIN + "\n")
        self.pin_file.chmod(0o600)
        self._util("--init-token", "--free", "--label", "fleet", "--pin", PIN, "--so-pin", "4321")
        self.add_key("device", "01")

    @property
    def uri(self) -> str:
        return f"pkcs11:token=fleet;object=device?module-path={MODULE}&pin-source=file:{self.pin_file}"

    @property
    def uri_without_pin(self) -> str:
        return f"pkcs11:token=fleet;object=device?module-path={MODULE}"

    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self._folder / "softhsm2.conf")}

    def add_key(self, label: str, identifier: str, *, curve: str = "prime256v1") -> None:
        key = self._folder / f"{label}.pem"
        with key.open("wb") as file:
            subprocess.run(
                ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"],
                stdout=file,
                check=True,
            )
        self._util("--import", str(key), "--token", "fleet", "--label", label, "--id", identifier, "--pin", PIN)
        key.unlink()

    def _util(self, *arguments: str) -> None:
        environment = {**self.environment(), "PATH": "/usr/bin:/bin"}
        subprocess.run(["softhsm2-util", *arguments], env=environment, capture_output=True, check=True)
