#!/usr/bin/env bash
# An authority, and for each part of the stack a key (PKCS#8, as Logstash wants it) and a certificate: elk-certificates.sh FOLDER AUTHORITY
# AUTHORITY keeps the authority's private key: whoever reads it can be any part, so no part has that folder. FOLDER/ca.crt is its
# certificate; FOLDER/PART has it as well, and that part's own key and certificate. What is there and holds for another 30 days stays.
# OWNERS: "uid:folder ..." that are to belong to the users who write there.
set -euo pipefail
folder=$1 authority=$2
command -v openssl >/dev/null || { echo 'certificates: there is no openssl here' >&2; exit 1; }
days_left=2592000 # seconds
parts=(elasticsearch kibana logstash filebeat)
umask 077
mkdir -p "$authority" "${parts[@]/#/$folder/}"
cd "$folder"

holds() { [ -s "$1" ] && openssl x509 -in "$1" -checkend "$days_left" -noout >/dev/null; }
is_of() { [ "$(openssl x509 -in "$1" -pubkey -noout 2>/dev/null)" = "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]; }

# As an earlier version left it: everything in one folder, and every part could read all of it.
[ -e ca.key ] && mv ca.key "$authority/ca.key"
rm -f -- ./*.key ca.srl "${parts[@]/%/.crt}"

if ! holds ca.crt || ! is_of ca.crt "$authority/ca.key"; then
  openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days 3650 -subj '/CN=llmops elk authority' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$authority/ca.key" -out ca.crt 2>/dev/null
fi
for part in "${parts[@]}"; do
  crt=$part/$part.crt key=$part/$part.key
  cmp -s ca.crt "$part/ca.crt" || cp ca.crt "$part/ca.crt"
  holds "$crt" && is_of "$crt" "$key" && openssl verify -CAfile ca.crt "$crt" >/dev/null 2>&1 && continue
  openssl req -newkey rsa:3072 -nodes -sha256 -subj "/CN=$part" -keyout "$key" -out "$authority/$part.csr" 2>/dev/null
  openssl x509 -req -in "$authority/$part.csr" -CA ca.crt -CAkey "$authority/ca.key" -CAserial "$authority/ca.srl" -CAcreateserial \
    -sha256 -days 825 -out "$crt" \
    -extfile <(printf '%s\n' "subjectAltName=DNS:$part,DNS:localhost,IP:127.0.0.1" 'extendedKeyUsage=serverAuth,clientAuth' \
      'basicConstraints=CA:FALSE' 'keyUsage=digitalSignature,keyEncipherment') 2>/dev/null
  rm "$authority/$part.csr"
done

# Elastic's images run in group 0. The authority's own key is for this script alone.
chmod 700 "$authority"
chmod 600 "$authority/ca.key"
chmod 750 . "${parts[@]}"
for part in "${parts[@]}"; do chmod 640 "$part/$part.key" "$part/$part.crt"; done
chmod 644 ca.crt "${parts[@]/%//ca.crt}"
for owner in ${OWNERS:-}; do
  chown -R "${owner%%:*}:0" "${owner#*:}"
done
echo 'certificates: ready'
