"""Certificates and keys of a federation: an authority of its own for a trial, and the key of each node.

A consortium with an authority uses that instead. Knows files, and nothing of Flower but the formats that it reads.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from training.deployment import CA, SERVER, SERVER_KEY
from training.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAYS = 90
"""A trial's length: what is made here is not meant to stay."""


def make_certificates(folder: Path, hosts: Sequence[str]) -> None:
    """Write `ca.pem`, `server.pem` and `server.key` for a server that nodes reach under `hosts` (names or addresses).

    The authority's own key is not kept: nothing else can be signed by it later.

    Raises:
        DestinationError: one of the files exists, or the folder cannot be written.
    """
    authority, name = ec.generate_private_key(ec.SECP384R1()), _name("Cleanroom federation, trial authority")
    root = (
        _certificate(name, name, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA384())
    )
    key = ec.generate_private_key(ec.SECP384R1())
    server = (
        _certificate(_name(hosts[0]), name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA384())
    )
    pem = serialization.Encoding.PEM
    _write(folder / CA, root.public_bytes(pem))
    _write(folder / SERVER, server.public_bytes(pem) + root.public_bytes(pem))
    _write(folder / SERVER_KEY, _private(key, serialization.PrivateFormat.PKCS8))


def make_node_key(path: Path) -> Path:
    """Write a node's private key (P-384, OpenSSH), and beside it `.pub`, which the server's operator registers.

    Raises:
        DestinationError: a file exists, or the folder cannot be written.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    public = path.with_name(path.name + ".pub")
    _write(path, _private(key, serialization.PrivateFormat.OpenSSH))
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    _write(public, key.public_key().public_bytes(*openssh) + b"\n")
    return public


def _private(key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    # An hour back: clocks of organizations differ.
    begins, ends = now - dt.timedelta(hours=1), now + dt.timedelta(days=_DAYS)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes) -> None:
    """A new file, for this user only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except FileExistsError as error:
        message = f"{path} exists: remove it if nobody uses it, or name another folder"
        raise DestinationError(message) from error
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}): name another folder"
        raise DestinationError(message) from error
