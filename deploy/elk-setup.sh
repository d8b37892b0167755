#!/usr/bin/env bash
# What Elasticsearch must have before anything writes to it: Kibana's password, the templates, a key for Logstash that can do nothing
# but add documents to our streams. Can run any number of times.
# ELASTICSEARCH_URL, ELASTIC_PASSWORD, KIBANA_PASSWORD; CA: its certificate authority; TEMPLATES: a folder of NAME.json;
# KEYS: the folder where logstash.env is kept.
set -euo pipefail

# Secrets reach curl through a file descriptor, never through an argument, which every process of the machine can read.
ask() { # METHOD PATH [curl's arguments...]: prints the answer, fails on a status of 400 and up
  local method=$1 path=$2
  shift 2
  curl -sS --fail-with-body -K <(printf 'user = "elastic:%s"\n' "$ELASTIC_PASSWORD") ${CA:+--cacert "$CA"} \
    -X "$method" -H 'Content-Type: application/json' "$@" "$ELASTICSEARCH_URL$path"
}
said() { # what could not be done
  echo "setup: $1 Elasticsearch said: ${2:-nothing}" >&2
  exit 1
}

answer=$(ask GET /_security/_authenticate 2>&1) ||
  said 'the password of the user elastic is not the one in .env: it was set when the data volume was made.' "$answer"
answer=$(printf '{"password":"%s"}' "$KIBANA_PASSWORD" | ask POST /_security/user/kibana_system/_password -d @- 2>&1) ||
  said "Kibana's password could not be set." "$answer"

shopt -s nullglob
templates=("$TEMPLATES"/*.json)
[ ${#templates[@]} -gt 0 ] || said 'there are no templates to install: start with `llmops elk up`.'
for file in "${templates[@]}"; do
  name=$(basename "$file" .json)
  answer=$(ask PUT "/_index_template/$name" -d @"$file" 2>&1) || said "the template $name was not taken." "$answer"
done

key_works() {
  [ -s "$KEYS/logstash.env" ] || return 1
  local key
  key=$(sed -n 's/^LOGSTASH_API_KEY=//p' "$KEYS/logstash.env")
  curl -sS --fail -o /dev/null -K <(printf 'header = "Authorization: ApiKey %s"\n' "$(printf %s "$key" | base64 -w0)") \
    ${CA:+--cacert "$CA"} "$ELASTICSEARCH_URL/_security/_authenticate" 2>/dev/null
}
if ! key_works; then
  ask DELETE /_security/api_key -d '{"name":"llmops-logstash","owner":true}' -o /dev/null # those that nobody has any more
  answer=$(ask POST /_security/api_key -d '{
    "name": "llmops-logstash",
    "role_descriptors": {"add": {
      "cluster": ["monitor"],
      "indices": [{"names": ["logs-llmops.*", "metrics-llmops.*"], "privileges": ["auto_configure", "create_doc"]}]
    }}}' 2>&1) || said 'no key could be made for Logstash.' "$answer"
  id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' <<<"$answer")
  key=$(sed -n 's/.*"api_key":"\([^"]*\)".*/\1/p' <<<"$answer")
  [ -n "$id" ] && [ -n "$key" ] || said 'no key could be made for Logstash.' "$answer"
  (umask 027 && printf 'LOGSTASH_API_KEY=%s:%s\n' "$id" "$key" >"$KEYS/logstash.env.new")
  mv "$KEYS/logstash.env.new" "$KEYS/logstash.env"
fi
echo "setup: done, ${#templates[@]} templates"
