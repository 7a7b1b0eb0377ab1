#!/usr/bin/env python3
"""secure.py: `headpond ingest` against a real Kafka over TLS with a private CA and SASL SCRAM-SHA-512, alone and as a consumer group; a wrong password, a
wrong CA and an unencrypted connection to the TLS port are each one line that says what to mend, within seconds and without the secret; OAUTHBEARER tokens
come from an injected provider. Exit 1 with the first thing that is wrong."""
import pathlib
import subprocess
import sys
import time

import confluent_kafka
import confluent_kafka.admin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import ROOT, check, headpond, oracle  # noqa: E402

PASSWORD = "correct-horse-battery-staple"
WRONG = "hunter2-is-not-it"
SECURE = """\
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={pem}
"""
TOPOLOGY = """\
version: 1
name: secure
source:
  kafka: {{brokers: "{brokers}", topic: secure, encoding: json, {more}
    librdkafka_options: {{{options}}}}}
consumers:
  - {{name: live-ops, tier: 2, freshness: 5m}}
bronze: {{location: lake/bronze/logs, commit_interval: 500ms}}
"""


def run(*command, cwd):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"{command[0]} {command[1]}: {done.stderr}")


def make_ca(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}", cwd=folder)


def make_broker_certificate(folder):
    """A key and a certificate for localhost, signed by a private CA; and another CA, which did not sign it."""
    make_ca(folder, "ca")
    make_ca(folder, "other")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=localhost", cwd=folder)
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "broker.pem", cwd=folder)
    (folder / "keystore.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text() + (folder / "ca.pem").read_text())


class World:
    def __init__(self, directory, kafka):
        self.directory = directory
        self.secure = "localhost:" + (directory / "kafka" / "secure-port").read_text().strip()
        self.plain = kafka.bootstrap
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap})
        scram = confluent_kafka.admin.ScramCredentialInfo(confluent_kafka.admin.ScramMechanism.SCRAM_SHA_512, 4096)
        for future in admin.alter_user_scram_credentials([confluent_kafka.admin.UserScramCredentialUpsertion("reader", scram, PASSWORD.encode())]).values():
            future.result()
        for future in admin.create_topics([confluent_kafka.admin.NewTopic("secure", 3, 1)]).values():
            future.result()

    def options(self, **changes):
        wanted = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "reader", "sasl_password": "${READER_PASSWORD}",
                  "ssl_ca_location": str(self.directory / "ca.pem"), **changes}
        return ", ".join(f'{key.replace("_", ".")}: "{value}"' for key, value in wanted.items() if value)

    def topology(self, name, options, more="", brokers=None):
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        path = folder / "topology.yaml"
        path.write_text(TOPOLOGY.format(brokers=brokers or self.secure, options=options, more=more))
        return path


def works(world, name, more):
    """What is produced over the secure listener is in the table, and held against the topic over the plain one."""
    topology = world.topology(name, world.options(session_timeout_ms="3000"), more)
    env = {"READER_PASSWORD": PASSWORD}
    made = headpond("generate", "-f", topology, "-n", 1000, env=env)
    check(made.returncode == 0, f"generate: {made.stdout}{made.stderr}")
    done = headpond("ingest", "-f", topology, "--until-end", env=env, timeout=90)
    check(done.returncode == 0, f"ingest: exit {done.returncode}: {done.stderr}")
    print(f"  {name}: " + oracle("bronze_equals_topic.py", world.plain, "secure", topology.parent / "lake" / "bronze" / "logs").strip().splitlines()[-1])


def refused(world, name, options, words, password=PASSWORD, brokers=None):
    topology = world.topology(name, options, brokers=brokers)
    for command in (["ingest", "-f", topology], ["generate", "-f", topology, "-n", 1]):
        began = time.monotonic()
        done = headpond(*command, env={"READER_PASSWORD": password}, timeout=60)
        took = time.monotonic() - began
        said = done.stdout + done.stderr
        check(done.returncode == 3, f"{name}: {command[0]}: exit {done.returncode}: {said}")
        check(took < 12, f"{name}: {command[0]} took {took:.0f} s to say so")
        check(password not in said, f"{name}: {command[0]} prints the password")
        lines = [line for line in done.stderr.splitlines() if words in line]
        check(lines, f"{name}: no line of this says '{words}': {said}")
    print(f"  {name}: {took:.1f} s: {lines[0][:230]}")


def tokens(world):
    def reader(mode):
        return subprocess.run([str(ROOT / "build" / "tests" / "kafka_tokens"), world.secure, "secure", str(world.directory / "ca.pem"), mode], capture_output=True, text=True, timeout=60)

    read = reader("WORKS")
    count, asked = int(read.stdout.split()[1]), int(read.stdout.split()[3])
    check(read.returncode == 0 and count == 2000 and asked >= 2, f"{read.stdout}{read.stderr}")
    fails, expired = reader("FAILS"), reader("EXPIRED")
    check(fails.returncode == 1 and "the identity service is closed on Fridays" in fails.stdout, f"a provider that fails: {fails.stdout}")
    check(expired.returncode == 1 and "the token is malformed or has expired" in expired.stdout, f"a token that has expired: {expired.stdout}")
    print(f"  tokens: {read.stdout.strip()}; one that fails: {fails.stdout.strip()[:200]}")


def main():
    with harness.Workspace() as directory:
        make_broker_certificate(directory)
        (directory / "kafka").mkdir()
        (directory / "kafka" / "secure.properties").write_text(SECURE.format(pem=directory / "keystore.pem"))
        with harness.Kafka(directory / "kafka") as kafka:
            world = World(directory, kafka)
            works(world, "scram", "assignment: static,")
            works(world, "scram-in-a-group", "assignment: group,")
            refused(world, "wrong-password", world.options(), "check sasl.mechanism, sasl.username and sasl.password", password=WRONG)
            refused(world, "wrong-ca", world.options(ssl_ca_location=str(directory / "other.pem")), "no TLS connection to Kafka at " + world.secure)
            refused(world, "unencrypted", 'security.protocol: "PLAINTEXT"', "if that is a TLS listener, set security.protocol")
            refused(world, "tls-to-plain", world.options(), "no TLS connection to Kafka at " + world.plain, brokers=world.plain)
            tokens(world)
    print("TLS, SASL and tokens against a real Kafka: work, and say what is wrong when they do not")


if __name__ == "__main__":
    try:
        main()
    except harness.Failed as failed:
        print(f"FAILED: {failed}")
        sys.exit(1)
