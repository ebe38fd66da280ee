#!/bin/sh
# Acts like the entrypoint of the official image: options alone are for redis-server, which never runs as root.
set -e
case "$1" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
    # Debian's program refuses clients from outside until it has a password; the official image turns that off.
    case " $* " in *' --protected-mode '*) ;; *) set -- "$@" --protected-mode no ;; esac
    if [ "$(id -u)" = 0 ]; then
        find . ! -user redis -exec chown redis:redis '{}' +
        exec /usr/bin/setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
    fi
fi
exec "$@"
