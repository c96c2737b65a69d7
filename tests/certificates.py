"""An issuer, and certificates by it."""
import collections
import hashlib
import os
import ssl
import subprocess

Chain = collections.namedtuple('Chain', 'key file authority facts')


def openssl(*words, stdin=b''):
    return subprocess.run(['openssl', *words], input=stdin, capture_output=True, check=True).stdout


def make_chain(folder, *names, days=30):
    """A new issuer, and a server's certificate by it for these names: the files of the key, the chain and the issuer, and what TLSA records say."""
    folder.mkdir()
    os.chmod(folder, 0o755)
    ca_key, ca, key, leaf, chain = (folder / name for name in ('ca.key', 'ca.pem', 'key.pem', 'leaf.pem', 'chain.pem'))
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=an issuer',
            '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', str(ca_key), '-out', str(ca))
    request = openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=mx', '-keyout', str(key))
    (folder / 'extensions').write_text('subjectAltName=%s\n' % ','.join('DNS:' + name for name in names))
    openssl('x509', '-req', '-CA', str(ca), '-CAkey', str(ca_key), '-CAcreateserial', '-days', str(days), '-extfile', str(folder / 'extensions'), '-out', str(leaf),
            stdin=request)
    chain.write_bytes(leaf.read_bytes() + ca.read_bytes())
    spki = openssl('pkey', '-pubin', '-outform', 'DER', stdin=openssl('x509', '-in', str(leaf), '-noout', '-pubkey'))
    facts = {'leaf': ssl.PEM_cert_to_DER_cert(leaf.read_text()).hex(), 'spki': hashlib.sha256(spki).hexdigest(), 'spki512': hashlib.sha512(spki).hexdigest(),
             'ca': hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.read_text())).hexdigest(), 'wrong': '0' * 64, 'short': '00' * 20}
    return Chain(key, chain, ca, facts)
