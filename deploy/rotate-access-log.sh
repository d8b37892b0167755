#!/bin/sh
# Keeps nginx's access log bounded: renames it every EVERY_S seconds, tells nginx to open a new one, removes what is older than
# KEEP_DAYS. Filebeat knows a file by its first bytes, so it reads on under the new name. nginx's image runs it before nginx.
LOGS=${LOGS:-/var/log/nginx} PID=${PID:-/tmp/nginx.pid} EVERY_S=${EVERY_S:-86400} KEEP_DAYS=${KEEP_DAYS:-7}

while sleep "$EVERY_S"; do
  [ -s "$LOGS/access.jsonl" ] || continue
  mv "$LOGS/access.jsonl" "$LOGS/access-$(date -u +%Y%m%dT%H%M%SZ).jsonl" && kill -USR1 "$(cat "$PID")"
  find "$LOGS" -name 'access-*.jsonl' -mtime "+$KEEP_DAYS" -delete
done &
