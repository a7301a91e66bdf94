#!/bin/sh
# Uploads FILE to URL with curl, or resumes an incomplete upload of it: sh resume.sh FILE URL
# It exits with 0 only if the server has a file with the SHA-256 of FILE, and with 3 if the server has a
# different file. After any other exit code run it again.
FILE=$1 URL=$2
SIZE=$(wc -c <"$FILE")
DIGEST="sha-256=:$(openssl dgst -sha256 -binary "$FILE" | base64):"
HEAD=$(curl -sSI "$URL" | tr -d '\r')
STATUS=$(printf '%s\n' "$HEAD" | awk 'NR == 1 { print $2 }')
OFFSET=$(printf '%s\n' "$HEAD" | awk 'tolower($1) == "content-length:" { print $2 }')
ETAG=$(printf '%s\n' "$HEAD" | awk 'tolower($1) == "etag:" { print $2 }')

# Sends the bytes from OFFSET on, or only the length if no byte is missing. The first argument is the
# precondition, which keeps two clients from mixing their bytes.
send() {
  RANGE="$OFFSET-$((SIZE - 1))"
  [ "$OFFSET" -lt "$SIZE" ] || RANGE='*'
  { printf 'Content-Range: bytes %s/%d\r\n\r\n' "$RANGE" "$SIZE"; tail -c +$((OFFSET + 1)) "$FILE"; } |
    curl -sS -X PATCH -T - -H "$1" -H "Repr-Digest: $DIGEST" -H 'Content-Type: message/byteranges' "$URL"
}
case $STATUS in
  299) send "If-Match: $ETAG" ;;
  404) OFFSET=0; send 'If-None-Match: *' ;;
esac
case $(curl -sSI -H 'Want-Repr-Digest: sha-256=10' "$URL") in
  HTTP/*' 200 '*"$DIGEST"*) echo complete ;;
  HTTP/*' 200 '*[Rr]epr-[Dd]igest*) echo 'a different file is at this URL' >&2; exit 3 ;;
  *) echo 'not complete, or not verified: run it again' >&2; exit 1 ;;
esac
