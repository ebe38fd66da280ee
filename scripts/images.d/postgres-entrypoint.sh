#!/bin/sh
# Acts like the entrypoint of the official image: an empty data folder is initialised as POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS and
# POSTGRES_HOST_AUTH_METHOD say (or the file that VARIABLE_FILE names), then what lies in /docker-entrypoint-initdb.d is run; the server never runs as root.
set -e

# given VARIABLE DEFAULT
given() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$value" ] && [ -n "$file" ]; then
        echo "error: both $1 and $1_FILE are set (but are exclusive)" >&2
        exit 1
    fi
    [ -z "$file" ] || value=$(cat "$file")
    eval "export $1=\"\${value:-\$2}\""
    unset "$1_FILE"
}

sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --no-password "$@"; }

initialise() {
    given POSTGRES_PASSWORD ''
    given POSTGRES_USER postgres
    given POSTGRES_DB "$POSTGRES_USER"
    given POSTGRES_INITDB_ARGS ''
    if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
        echo '       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser.' >&2
        exit 1
    fi
    secret=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
    eval "initdb --username=\"\$POSTGRES_USER\" ${POSTGRES_PASSWORD:+--pwfile=\"\$secret\"} $POSTGRES_INITDB_ARGS"
    rm "$secret"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    # Nobody outside can reach the server while it is prepared.
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    export PGPASSWORD="$POSTGRES_PASSWORD"
    [ "$POSTGRES_DB" = postgres ] || echo 'CREATE DATABASE :"name";' | sql --dbname postgres -v name="$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) echo "$0: running $file" && . "$file" ;;
            *.sql) echo "$0: running $file" && sql --dbname "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) echo "$0: running $file" && gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
        esac
    done
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    export HOME=/var/lib/postgresql
    exec /usr/bin/setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
fi
if [ -s "$PGDATA/PG_VERSION" ]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
else
    initialise
fi
exec "$@"
