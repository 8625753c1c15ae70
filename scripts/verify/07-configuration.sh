# Checks 1 to 5: the files are those of the manifest; roots follow from the anchor, contents from the roots, parts from the
# contents; the server whose pack it is sealed it.

allowed='(pack|(request|answer)/(statement|signature|place|certificate\.der|context|context\.salt|body|body\.salt|entry|inclusion|certificate-status\.der)'
allowed="$allowed|(destruction/)?log/(checkpoint|aggregate|aggregate\.place|token\.(aggregate|checkpoint)\.[1-8]\.der)"
allowed="$allowed|before/(entry|inclusion|note)"
allowed="$allowed|destruction/(request|answer)/(certificate\.jws|certificate\.der|(intended|done)/(entry|inclusion|note))"
allowed="$allowed|configuration/root\.[1-9][0-9]{0,8}\.jws"
allowed="$allowed|configuration/[1-9][0-9]{0,14}/(content\.jws|parts/(members\.[0-9a-f]{2}|trust|witnesses|time-stamps)))"

check files
[ -z "$(find . ! -type f ! -type d)" ] || fail PACK_MALFORMED 'something is no regular file'
[ -f manifest ] && [ -s manifest ] && plain manifest || fail PACK_MALFORMED manifest
if grep -Evq "^[0-9a-f]{64}  $allowed\$" manifest; then fail PACK_MALFORMED manifest; fi
cut -c 67- manifest >"$tmp/listed"
sort -c -u "$tmp/listed" 2>/dev/null || fail PACK_MALFORMED manifest
find . -type f | sed 's,^\./,,' | grep -Evx 'manifest|seal\.jws|seal\.der' | sort >"$tmp/found"
[ -z "$(lacking "$tmp/found" "$tmp/listed")" ] || fail PACK_FILE_UNKNOWN
absent=$(lacking "$tmp/listed" "$tmp/found" | sed -n 1p)
[ -z "$absent" ] || fail PACK_FILE_MISSING "$absent"
openssl dgst -sha256 -r $(cat "$tmp/listed") | sed 's/ \*/  /' >"$tmp/hashed"
if ! cmp -s manifest "$tmp/hashed"; then
  fail PACK_FILE_CHANGED "$(lacking manifest "$tmp/hashed" | cut -c 67- | sed -n 1p)"
fi
[ -f pack ] || fail PACK_FILE_MISSING pack
cut -c 1-64 manifest | awk '
  BEGIN { abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; split("2 4 8 16 32 64", two, " ") }
  { out = ""; bits = 0; value = 0
    for (i = 1; i <= 64; i++) { value = value * 16 + index("0123456789abcdef", substr($0, i, 1)) - 1; bits += 4
      if (bits >= 6) { bits -= 6; d = bits ? two[bits] : 1; out = out substr(abc, int(value / d) + 1, 1); value = value % d } }
    print out substr(abc, value * two[6 - bits] + 1, 1) }' | paste -d ' ' "$tmp/listed" - >"$tmp/hashes"
# Lengths are compared apart from the patterns, which would be slow with them.
segment='[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?'
server_id="$segment/$segment/$segment/$segment"
message_id='[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
plain pack && [ "$(wc -l <pack)" -ge 7 ] && [ "$(wc -l <pack)" -le 8 ] || fail PACK_MALFORMED pack
n=0
for wanted in 'accord-evidence/1' "exchange $message_id" "server $server_id" 'side (consumer|provider)' \
  'configuration of the request [1-9][0-9]{0,14}' 'configuration of the answer [1-9][0-9]{0,14}' \
  'configuration of the anchoring (0|[1-9][0-9]{0,14})'; do
  n=$((n + 1))
  sed -n "${n}p" pack | grep -Eqx "$wanted" || fail PACK_MALFORMED pack
done
if sed 1,7d pack | grep -Evqx 'configuration of the destruction [1-9][0-9]{0,14}'; then fail PACK_MALFORMED pack; fi
exchange=$(sed -n '2s/^exchange //p' pack) server=$(sed -n '3s/^server //p' pack) side=$(sed -n '4s/^side //p' pack)
of_request=$(sed -n '5s/.* //p' pack) of_answer=$(sed -n '6s/.* //p' pack) of_anchoring=$(sed -n '7s/.* //p' pack)
of_destruction=$(sed -n '8s/.* //p' pack)
ok

check roots
flat "$anchor/anchor.json" >"$tmp/anchor"
instance=$(at "$tmp/anchor" instance) first_root=$(at "$tmp/anchor" root/version) root_hash=$(at "$tmp/anchor" root/hash)
sed -n 's,^configuration/root\.\([0-9]*\)\.jws$,\1,p' "$tmp/found" | sort -n >"$tmp/roots"
next=
while read -r n; do
  [ -z "$next" ] || [ "$n" -eq "$next" ] || fail ROOT_NOT_ANCHORED 'a root of the chain is missing'
  next=$((n + 1))
done <"$tmp/roots"
roots=
if ! grep -qx -e "$first_root" "$tmp/roots"; then
  miss ROOT_MISSING "root $first_root"
else
  before=
  while read -r n; do
    # Roots before the anchored one prove nothing, and are not believed.
    [ "$n" -ge "$first_root" ] || continue
    file=configuration/root.$n.jws
    hash=$(shaurl "$file")
    if [ -z "$before" ]; then
      [ "$hash" = "$root_hash" ] || fail ROOT_NOT_ANCHORED "root $n"
      sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
      unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/root.$n" || fail ROOT_NOT_ANCHORED "root $n"
      signed "$file" accord-root+jws "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
    else
      sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
      unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/root.$n" || fail ROOT_NOT_ANCHORED "root $n"
      signed "$file" accord-root+jws "$tmp/root.$before" root "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
      threshold "$tmp/root.$before" root || fail ROOT_NOT_ANCHORED "root $n"
      [ "$(at "$tmp/root.$n" previousHash)" = "$before_hash" ] || fail ROOT_NOT_ANCHORED "root $n"
    fi
    threshold "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
    [ "$(at "$tmp/root.$n" instance)" = "$instance" ] && [ "$(at "$tmp/root.$n" version)" = "$n" ] || fail ROOT_NOT_ANCHORED "root $n"
    before=$n before_hash=$hash
    printf '%s\n' "$hash" >"$tmp/root.$n.hash"
  done <"$tmp/roots"
  roots=yes
  ok
fi
[ -n "$roots" ] || conclude

check configuration
printf '%s\n' "$of_request" "$of_answer" "$of_anchoring" "${of_destruction:-0}" | grep -vx 0 | sort -n -u >"$tmp/versions"
configured=yes
while read -r v; do
  file=configuration/$v/content.jws
  if [ ! -f "$file" ]; then
    miss CONFIGURATION_MISSING "content $v"
    configured=
    break
  fi
  sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
  unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/content.$v" || fail CONFIGURATION_WRONG "content $v"
  cited=$(at "$tmp/content.$v" root/version)
  printf '%s\n' "$cited" | grep -Eqx '[1-9][0-9]{0,14}' || fail CONFIGURATION_WRONG "content $v"
  if [ ! -f "$tmp/root.$cited" ] && [ "$cited" -lt "$first_root" ]; then
    miss ROOT_MISSING "root $cited, older than the anchor"
    configured=
    break
  fi
  [ -f "$tmp/root.$cited" ] && [ "$(at "$tmp/content.$v" root/hash)" = "$(cat "$tmp/root.$cited.hash")" ] || fail CONFIGURATION_WRONG "content $v"
  signed "$file" accord-content+jws "$tmp/root.$cited" content && threshold "$tmp/root.$cited" content || fail CONFIGURATION_WRONG "content $v"
  issued=$(at "$tmp/content.$v" issuedAtMs) expires=$(at "$tmp/content.$v" expiresAtMs)
  [ "$(at "$tmp/content.$v" version)" = "$v" ] && [ "$(at "$tmp/content.$v" instance)" = "$instance" ] &&
    [ "$expires" -gt "$issued" ] && [ $((expires - issued)) -le 604800000 ] || fail CONFIGURATION_WRONG "content $v"
done <"$tmp/versions"
[ -n "$configured" ] || conclude
ok

check 'configuration parts'
# Which two servers: read before the statement is verified, only to know what is needed.
[ -f request/statement ] && oneline request/statement && cp request/statement "$tmp/unverified" || : >"$tmp/unverified"
ids='[A-Za-z0-9._/-]*' before='{"v":1,"id":"[^"]*","kind":"[a-z]*"'
from=$(sed -n "s|^$before,\"from\":\"\($ids\)\",\"to\":\"$ids\",.*\$|\1|p" "$tmp/unverified")
to=$(sed -n "s|^$before,\"from\":\"$ids\",\"to\":\"\($ids\)\",.*\$|\1|p" "$tmp/unverified")
printf '%s\n' "$from" | grep -Eqx "$server_id" && printf '%s\n' "$to" | grep -Eqx "$server_id" || from= to=
shard() { printf '%s' "${1%/*}" >"$tmp/member"; openssl dgst -sha256 -r "$tmp/member" | cut -c 1-2; }
for one in "$server" "${from:-$server}" "${to:-$server}"; do printf 'members.%s\n' "$(shard "$one")"; done | sort -u >"$tmp/shards"
for file in $(sed -n 's,^\(configuration/[0-9]*/.*\),\1,p' "$tmp/found"); do
  v=${file#configuration/}
  v=${v%%/*}
  [ -f "$tmp/content.$v" ] || fail PACK_FILE_UNKNOWN "$file"
  case $file in
    */parts/*)
      part=${file##*/}
      [ "$(shaurl "$file")" = "$(at "$tmp/content.$v" "parts/$(printf '%s' "$part" | sed 's,\.,/,')")" ] || fail CONFIGURATION_PART_CHANGED "$file"
      flat "$file" >"$tmp/$part.$v"
      ;;
  esac
done
configured=yes
while read -r v; do
  for part in $(cat "$tmp/shards") trust witnesses time-stamps; do
    [ ! -f "$tmp/$part.$v" ] || continue
    case $part in
      witnesses | time-stamps) [ -n "$(at "$tmp/content.$v" "parts/$part")" ] || continue ;;
    esac
    miss CONFIGURATION_MISSING "part $part of content $v"
    configured=
    break 2
  done
  trust "$v" "$tmp/trust.$v"
done <"$tmp/versions"
[ -n "$configured" ] || conclude
ok

# registered SERVER VERSION: the path of a server in its members part, and the part; fails when it is not registered
registered() {
  members=$tmp/members.$(shard "$1").$2
  [ -f "$members" ] || return 1
  awk -F '\t' -v member="${1%/*}" -v code="${1##*/}" '
    $1 ~ /^members\/[0-9]+\/id$/ && $2 == member { split($1, p, "/"); at[p[2]] = 1 }
    $1 ~ /^members\/[0-9]+\/servers\/[0-9]+\/code$/ && $2 == code { split($1, p, "/"); codes[p[2] "/servers/" p[4]] = p[2] }
    END { for (one in codes) if (codes[one] in at) print "members/" one }' "$members" >"$tmp/registered"
  [ "$(wc -l <"$tmp/registered")" -eq 1 ] && registered=$(cat "$tmp/registered")
}

check seal
[ -f seal.jws ] && [ -f seal.der ] || fail SEAL_WRONG 'there is no seal'
compact seal.jws accord-evidence+jws 'alg iat typ x5t#S256' || fail SEAL_WRONG
facts seal.der seal || fail SEAL_WRONG 'the certificate'
[ "$(shaurl seal.der)" = "$(at "$tmp/header.flat" 'x5t#S256')" ] || fail SEAL_WRONG 'another certificate'
tr ',' '\n' <"$tmp/seal.facts" | sed -n 's/^ *URI:accord:server://p' >"$tmp/holder"
[ "$(cat "$tmp/holder")" = "$server" ] || fail SEAL_WRONG 'the certificate is of another server'
cmp -s "$tmp/payload" manifest || fail SEAL_WRONG 'over another manifest'
printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
jws "$alg" "$tmp/seal.key" "$tmp/input" "$sig64" || fail SEAL_WRONG 'the signature does not verify'
iat=$(at "$tmp/header.flat" iat)
case $iat in '' | *[!0-9]*) fail SEAL_WRONG ;; esac
chain "$of_answer" "$tmp/seal.pem" "$iat" || fail CERTIFICATE_INVALID
ok
