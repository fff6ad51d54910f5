#!/bin/sh
# Has nginx read its certificate again when that was renewed. The official image runs this before nginx, which is
# process 1 afterwards.
set -eu

fingerprint() {
  cat "$TLS_CERTIFICATE" "$TLS_CERTIFICATE_KEY" 2>/dev/null | cksum
}

look() {
  known=$(fingerprint)
  while sleep 15; do
    now=$(fingerprint)
    if [ "$now" != "$known" ]; then
      known=$now
      kill -HUP 1
    fi
  done
}

look &
