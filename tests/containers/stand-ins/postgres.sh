#!/usr/bin/env bash
# What the official image does with POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD, on Debian's packages.
set -euo pipefail
data=/var/lib/postgresql/data/cluster
bin=$(echo /usr/lib/postgresql/*/bin)
mkdir -p "$data" && chown -R postgres /var/lib/postgresql/data && chmod 700 "$data"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
if [ ! -s "$data/PG_VERSION" ]; then
  printf '%s' "$POSTGRES_PASSWORD" >/tmp/password && chown postgres /tmp/password
  as_postgres "$bin/initdb" -D "$data" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB;" | as_postgres "$bin/postgres" --single -D "$data" postgres
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D "$data" -h 0.0.0.0 -k /tmp
