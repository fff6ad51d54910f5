#!/bin/sh
# Works like the official Postgres image: creates the database at the first start and runs Postgres as its own user.
set -eu
data=/var/lib/postgresql/data
as_postgres() {
  setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}
cd /usr/lib/postgresql/*/bin
if [ ! -e "$data/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 700 "$data"
  as_postgres ./initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \
    --no-sync --pgdata="$data"
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  echo "create database $POSTGRES_DB" | as_postgres ./postgres --single -D "$data" postgres
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups ./postgres -D "$data" \
  -c listen_addresses='*' -c unix_socket_directories=
