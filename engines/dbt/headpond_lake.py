"""A lake on S3 for DuckDB: its httpfs extension out of the venv, and a secret out of the usual environment (AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL; without keys whatever else the AWS chain finds). A plugin of dbt-duckdb,
named in profiles.yml; run.py uses it for its own connection. Nothing is fetched and no secret is stored.
"""
import importlib
import os
import pathlib
import urllib.parse

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin


def load(connection, name):
    try:
        folder = pathlib.Path(importlib.import_module(f"duckdb_extension_{name}").__path__[0])
    except ImportError:
        raise SystemExit(f"DuckDB's extension {name} is not installed, which a lake on S3 needs; run tools/dbt install") from None
    connection.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def configure(connection):
    load(connection, "httpfs")
    options = {"REGION": os.environ.get("AWS_REGION", "")}
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        options |= {"KEY_ID": os.environ["AWS_ACCESS_KEY_ID"], "SECRET": os.environ.get("AWS_SECRET_ACCESS_KEY", ""), "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN", "")}
        provider = "config"
    else:
        load(connection, "aws")
        provider = "credential_chain"
    endpoint = urllib.parse.urlparse(os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.netloc:
        options |= {"ENDPOINT": endpoint.netloc}
    words = [f"{name} {quoted(value)}" for name, value in options.items() if value]
    if endpoint.scheme == "http":
        words += ["USE_SSL false", "URL_STYLE 'path'"]
    connection.execute(f"CREATE OR REPLACE SECRET headpond (TYPE s3, PROVIDER {provider}{''.join(', ' + w for w in words)})")


class Plugin(BasePlugin):
    def configure_connection(self, conn):
        configure(conn)
