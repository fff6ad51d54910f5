#!/bin/sh
# Reloads nginx when its certificate or the addresses of its services have changed: nginx reads certificates and resolves
# names only at start and on SIGHUP. The entrypoint of the official image runs this script before nginx; it continues in
# the background.
set -eu

names=$(printf '%s' "$AUTH_SERVICE_SERVERS $IMAGE_MANAGER_SERVERS $REGISTRY_PROXY_SERVERS $REGISTRY_SERVERS" |
  tr ';' '\n' | sed -n 's/^ *server \([^: ]*\).*/\1/p' | sort -u)

certificate() {
  cat "$TLS_CERTIFICATE" "$TLS_CERTIFICATE_KEY" 2>/dev/null | sha256sum
}

# Fails if a name cannot be resolved.
addresses() {
  for name in $names; do
    found=$(getent hosts "$name") || return 1
    printf '%s\n' "$found" | sort
  done
}

check() {
  while sleep 10; do
    now_certificate=$(certificate)
    # A name that cannot be resolved is not a change: nginx would reject the configuration.
    now_addresses=$(addresses) || now_addresses=$known_addresses
    [ "$now_certificate$now_addresses" = "$known_certificate$known_addresses" ] && continue
    kill -HUP "$(cat "$NGINX_PID_FILE")" || continue
    known_certificate=$now_certificate
    known_addresses=$now_addresses
  done
}

# Read before nginx starts, so that no change is missed.
known_certificate=$(certificate)
known_addresses=$(addresses) || known_addresses=''
check &
