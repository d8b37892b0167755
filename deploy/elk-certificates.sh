#!/usr/bin/env bash
# An authority, and for each part of the stack a key (PKCS#8, as Logstash wants it) and a certificate: elk-certificates.sh FOLDER
# What is there and holds for another 30 days stays. OWNERS: "uid:folder ..." that are to belong to the users who write there.
set -euo pipefail
folder=$1
command -v openssl >/dev/null || { echo 'certificates: there is no openssl here' >&2; exit 1; }
days_left=2592000 # seconds
mkdir -p "$folder"
cd "$folder"
umask 077

holds() { [ -s "$1" ] && openssl x509 -in "$1" -checkend "$days_left" -noout >/dev/null; }

if ! holds ca.crt || [ ! -s ca.key ]; then
  rm -f -- *.crt *.key
  openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days 3650 -subj '/CN=llmops elk authority' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout ca.key -out ca.crt 2>/dev/null
fi
for part in elasticsearch kibana logstash filebeat; do
  holds "$part.crt" && openssl verify -CAfile ca.crt "$part.crt" >/dev/null 2>&1 && continue
  openssl req -newkey rsa:3072 -nodes -sha256 -subj "/CN=$part" -keyout "$part.key" -out "$part.csr" 2>/dev/null
  openssl x509 -req -in "$part.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days 825 -out "$part.crt" \
    -extfile <(printf '%s\n' "subjectAltName=DNS:$part,DNS:localhost,IP:127.0.0.1" 'extendedKeyUsage=serverAuth,clientAuth' \
      'basicConstraints=CA:FALSE' 'keyUsage=digitalSignature,keyEncipherment') 2>/dev/null
  rm "$part.csr"
done

# Elastic's images run in group 0. The authority's own key is for this script alone.
chmod 750 .
chmod 640 ./*.crt ./*.key
chmod 644 ca.crt
chmod 600 ca.key
for owner in ${OWNERS:-}; do
  chown -R "${owner%%:*}:0" "${owner#*:}"
done
echo 'certificates: ready'
