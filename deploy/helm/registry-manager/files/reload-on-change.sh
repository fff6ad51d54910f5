#!/bin/sh
# Has nginx read its certificate again when that was renewed, and look its services up again when they have other
# addresses: it does both only when it is told to. The official image runs this before nginx.
set -eu

names=$(printf '%s' "$AUTH_SERVICE_SERVERS $IMAGE_MANAGER_SERVERS $REGISTRY_PROXY_SERVERS $REGISTRY_SERVERS" |
  tr ';' '\n' | sed -n 's/^ *server \([^: ]*\).*/\1/p' | sort -u)

certificate() {
  cat "$TLS_CERTIFICATE" "$TLS_CERTIFICATE_KEY" 2>/dev/null | sha256sum
}

# Fails where a name is not known.
addresses() {
  for name in $names; do
    found=$(getent hosts "$name") || return 1
    printf '%s\n' "$found" | sort
  done
}

look() {
  while sleep 10; do
    now_certificate=$(certificate)
    # Who is away for the moment has no other address: nginx would not take the configuration.
    now_addresses=$(addresses) || now_addresses=$known_addresses
    [ "$now_certificate$now_addresses" = "$known_certificate$known_addresses" ] && continue
    kill -HUP "$(cat "$NGINX_PID_FILE")" || continue
    known_certificate=$now_certificate
    known_addresses=$now_addresses
  done
}

# Before nginx reads them, so that no change is missed.
known_certificate=$(certificate)
known_addresses=$(addresses) || known_addresses=''
look &
