"""A certificate authority of this machine alone: made once, kept, trusted by its owner's phone.

Whoever trusts an authority believes all it signs. This one says of itself, where every browser
reads it, that it signs for private networks, loopback, `.local` names and the address that this
machine had: whoever stole its key could pretend to be nothing else to the phone.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.errors import RuntimeFault

YEARS = dt.timedelta(days=3650)  # that the authority lasts
MONTHS = dt.timedelta(days=390)  # that a certificate lasts; Apple's systems allow no 400 days
SKEW = dt.timedelta(days=1)  # by which the clock of a phone may be behind
NETWORKS = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
    *("100.64.0.0/10", "fc00::/7", "fe80::/10", "::1/128"),
)
NAMES = ("local", "localhost")  # and whatever ends in one of them
RENEWAL = "remove it, and another is made, which phones have to be told of anew"
TO_SIGN = ("key_cert_sign", "crl_sign")
TO_SERVE = ("digital_signature",)


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate and its key, which never leaves this machine."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def kept(cls, path: Path, now: dt.datetime, own: str) -> Authority:
        """The one in a file, which is made where there is none. Raises RuntimeFault.

        `own`: the address in figures of this machine.
        """
        try:
            if not path.exists():
                cls.made(now, own).keep(path)
            text = path.read_bytes()
            key = serialization.load_pem_private_key(text, None)
            authority = cls(x509.load_pem_x509_certificate(text), key)
        except OSError as error:
            raise RuntimeFault(f"--tls auto: {path}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise RuntimeFault(f"--tls auto: {path} is damaged: {RENEWAL}") from error
        if authority.certificate.not_valid_after_utc < now:
            raise RuntimeFault(f"--tls auto: {path} is too old: {RENEWAL}")
        return authority

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of its certificate, as phones show it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def name(self) -> str:
        """By which a phone lists it."""
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def as_der(self) -> bytes:
        """Its certificate as phones install it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def issue(self, hosts: list[str], now: dt.datetime) -> bytes:
        """A certificate for names and addresses in figures, with a fresh key, as PEM.

        Raises RuntimeFault where it may not sign for the first; the others may be left out.
        """
        alternatives = [each for host in hosts if (each := self._permitted(host)) is not None]
        if self._permitted(hosts[0]) is None:
            raise RuntimeFault(
                f"--tls auto: {hosts[0]} is no address that {self.name} may vouch for: "
                "give --tls CERT KEY"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begun("GazeQwen Edge", key, now, MONTHS)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(_usage(TO_SERVE), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .sign(self.key, hashes.SHA256())
        )
        return _as_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)

    def _permitted(self, host: str) -> x509.GeneralName | None:
        """A host as a certificate names it; None where this authority may not sign for it."""
        limits = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        permitted = [each.value for each in limits.permitted_subtrees or ()]
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return x509.DNSName(host) if host.rpartition(".")[2] in permitted else None
        networks = (each for each in permitted if not isinstance(each, str))
        return x509.IPAddress(address) if any(address in each for each in networks) else None

    @classmethod
    def made(cls, now: dt.datetime, own: str) -> Authority:
        """A new one, that nobody trusts yet; `own` as of `kept`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name) for name in NAMES]
        networks = [x509.IPAddress(ipaddress.ip_network(each)) for each in (*NETWORKS, own)]
        # Two of one name, on two machines that one phone trusts, must not be taken for each other.
        name = f"GazeQwen Edge {secrets.token_hex(3)}"
        begun = _begun(name, key, now, YEARS)
        certificate = (
            begun.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.NameConstraints([*names, *networks], None), critical=True)
            .add_extension(_usage(TO_SIGN), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    def keep(self, path: Path) -> None:
        """Write it for its owner only; whoever was faster with another one is believed."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_as_pem(self.key))
            file.write(self.certificate.public_bytes(serialization.Encoding.PEM))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def _begun(
    name: str, key: ec.EllipticCurvePrivateKey, now: dt.datetime, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _usage(allowed: tuple[str, ...]) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{use: use in allowed for use in every})


def _as_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
