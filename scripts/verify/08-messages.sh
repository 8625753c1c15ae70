# Checks 6 to 19: of the request and of its answer the statement, signature, certificate and its status, the log's entry, context
# and body, or the certificate that they were destroyed.

service_id="$server_id/$segment"
h43='[A-Za-z0-9_-]{43}'
count='(0|[1-9][0-9]{0,15})'
purpose='("[a-z0-9]([a-z0-9.-]*[a-z0-9])?"|null)'
statement_form="\\{\"v\":1,\"id\":\"$message_id\",\"kind\":\"(request|response|refusal|settlement)\",\"from\":\"$server_id\",\"to\":\"$server_id\",\"client\":\"$server_id\",\"service\":\"$service_id\",\"at\":$count,\"purpose\":$purpose,\"basis\":\"(open|law|consent|emergency)\",\"context\":\\{\"commitment\":\"$h43\"\\},\"body\":\\{\"commitment\":\"$h43\"\\},\"configuration\":\\{\"version\":[1-9][0-9]{0,15},\"hash\":\"$h43\"\\}"
answer_form=",\"request\":\"$h43\",\"log\":\\{\"origin\":\"[]-~ !#-[]+\",\"index\":$count\\},\"decisionHash\":(\"$h43\"|null)"
plain_text='("[]-~ !#-[]+"|null)'
hash_or_null="(\"$h43\"|null)"
entry_form="\\{\"seq\":$count,\"t\":$count,\"kind\":\"[a-z-]+\",\"id\":\"[]-~ !#-[]+\",\"peer\":$plain_text,\"client\":$plain_text,\"service\":$plain_text,\"purpose\":$plain_text,\"basis\":$plain_text,\"code\":$plain_text,\"decisionHash\":$hash_or_null,\"statement\":$hash_or_null,\"signature\":$hash_or_null,\"ocsp\":$hash_or_null,\"configuration\":$count,\"retention\":\"[a-z0-9-]+\"\\}"

# The payload of a certificate of destruction, in its one spelling: members sorted by name, nothing between them
json_text='"([^"\\]|\\["\\bfnrt]|\\u[0-9a-f]{4})+"'
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
retention='[a-z][a-z0-9-]{0,31}'
person="\\{\"atMs\":$count,\"key\":\"$h43\",\"name\":$json_text,\"role\":\"(administrator|auditor)\"\\}"
list() { printf '%s' "\\[($1(,$1)*)?\\]"; }
destroyed_days="\\{\"firstDay\":$count,\"keys\":$count,\"lastDay\":$count,\"records\":$count,\"retention\":\"$retention\"\\}"
kept_seqs="\\{\"origin\":$json_text,\"seqs\":\\[$count(,$count)*\\]\\}"
one_record="\\{\"leaf\":\"$h43\",\"origin\":$json_text,\"seq\":$count\\}"
destruction_form="\\{\"approved\":$person,\"days\":$(list "$destroyed_days"),\"destroyedAtMs\":$count,\"destruction\":\"$uuid\",\"except\":$(list "$kept_seqs"),\"intent\":\\{\"leaf\":\"$h43\",\"seq\":$count\\},\"kind\":\"destruction\",\"legalBasis\":$json_text,\"origin\":$json_text,\"reason\":$json_text,\"records\":$(list "$one_record"),\"requested\":$person,\"rule\":(null|\"$retention\"),\"server\":\"$server_id\",\"v\":1\\}"
# Under which configuration a destruction is judged, and the messages that it took something from
later=$of_answer
[ "$of_anchoring" -eq 0 ] || later=$of_anchoring
later=${of_destruction:-$later}
destroyed_messages=

# present FILE …: the manifest names them
present() { for one in "$@"; do [ -f "$one" ] || fail PACK_FILE_MISSING "$one"; done; }
# statement MESSAGE FORM: flattened to $tmp/MESSAGE
statement() {
  oneline "$1/statement" && [ "$(size "$1/statement")" -le 8192 ] && grep -Eqx "$2" "$1/statement" || fail STATEMENT_MALFORMED "$1"
  flat "$1/statement" >"$tmp/$1"
  short "$tmp/$1" 324 log/origin 255 purpose 64 || fail STATEMENT_MALFORMED "$1"
}
# short FLAT MOST [PATH MOST]…: no value is longer, and no segment of one is longer than 64 (hashes are shorter)
short() {
  awk -F '\t' -v most="$2" -v a="${3:-}" -v m="${4:-0}" -v b="${5:-}" -v n="${6:-0}" '
    { w = $1 == a ? m : $1 == b ? n : most; if (length($2) > w) bad = 1
      if ($1 ~ /^(from|to|client|service)$/) { c = split($2, p, "/"); for (i = 1; i <= c; i++) if (length(p[i]) > 64) bad = 1 } }
    END { exit bad }' "$1"
}
value() { at "$tmp/$1" "$2"; }
# entryform FILE NAME: an entry of a log in its one spelling, flattened to $tmp/NAME.entry.flat
entryform() {
  oneline "$1" && grep -Eqx "$entry_form" "$1" || return 1
  flat "$1" >"$tmp/$2.entry.flat"
  short "$tmp/$2.entry.flat" 512 code 64 retention 32
}

# signature MESSAGE: the statement stands in the batch that the certificate's key signed
signature() {
  check "$1: signature"
  present "$1/statement" "$1/certificate.der" "$1/signature" "$1/place"
  plain "$1/place" && sed -n 1p "$1/place" | grep -Eqx '(0|[1-9][0-9]{0,14}) (0|[1-9][0-9]{0,14})' || fail PACK_MALFORMED "$1/place"
  sed 1d "$1/place" >"$tmp/path"
  hashes "$tmp/path" || fail PACK_MALFORMED "$1/place"
  index=$(sed -n '1s/ .*//p' "$1/place") batch=$(sed -n '1s/.* //p' "$1/place")
  compact "$1/signature" accord-batch+jws 'alg iat typ x5t#S256' || fail SIGNATURE_WRONG "$1"
  [ "$(size "$1/signature")" -le 4096 ] && oneline "$tmp/payload" || fail SIGNATURE_WRONG "$1"
  grep -Eqx "\\{\"v\":1,\"size\":[1-9][0-9]{0,2},\"root\":\"$h43\"\\}" "$tmp/payload" || fail SIGNATURE_WRONG "$1"
  flat "$tmp/payload" >"$tmp/batch"
  unurl "$(at "$tmp/batch" root)" "$tmp/batchroot" || fail SIGNATURE_WRONG "$1"
  { printf '\000accord-statement/1\000'; cat "$1/statement"; } >"$tmp/leaf"
  [ "$batch" -le 256 ] && [ "$(at "$tmp/batch" size)" = "$batch" ] &&
    included "$(shahex "$tmp/leaf")" "$index" "$batch" "$tmp/path" "$(hex "$tmp/batchroot")" ||
    fail SIGNATURE_WRONG 'the statement does not stand in the signed batch'
  [ "$(shaurl "$1/certificate.der")" = "$(at "$tmp/header.flat" 'x5t#S256')" ] || fail SIGNATURE_WRONG 'the signature names another certificate'
  facts "$1/certificate.der" "$1" || fail SIGNATURE_WRONG 'the certificate cannot be read'
  printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
  jws "$alg" "$tmp/$1.key" "$tmp/input" "$sig64" || fail SIGNATURE_WRONG "$1"
  ok
}
# certificate MESSAGE VERSION SUBSYSTEM: registered, in force, chained, at the time of the statement
certificate() {
  check "$1: certificate"
  made=$(value "$1" at)
  hash=$(shaurl "configuration/$2/content.jws")
  if [ "$(value "$1" configuration/version)" = "$2" ] && [ "$(value "$1" configuration/hash)" != "$hash" ]; then
    fail CONFIGURATION_NOT_IN_FORCE "the statement names another content $2"
  fi
  [ "$made" -ge $(($(at "$tmp/content.$2" issuedAtMs) - 300000)) ] && [ "$made" -le $(($(at "$tmp/content.$2" expiresAtMs) + 604800000)) ] ||
    fail CONFIGURATION_NOT_IN_FORCE "content $2"
  registered "$(value "$1" from)" "$2" || fail CERTIFICATE_NOT_REGISTERED "$(value "$1" from)"
  openssl base64 -A -in "$1/certificate.der" | tr '+/' '-_' | tr -d = >"$tmp/der64"
  below "$members" "$registered/signingCertificates" | grep -Fqx -e "$(cat "$tmp/der64")" || fail CERTIFICATE_NOT_REGISTERED "$(value "$1" from)"
  below "$members" "$registered/subsystems" | grep -Fqx -e "$3" || fail SUBSYSTEM_NOT_ON_SERVER "$3"
  chain "$2" "$tmp/$1.pem" $((made / 1000)) || fail CERTIFICATE_INVALID
  ok
}
# entry MESSAGE: the line says what the statement says
entry() {
  check "$1: entry"
  present "$1/entry"
  entryform "$1/entry" "$1" || fail ENTRY_WRONG "$1"
  kind=$(value "$1" kind)
  case $side/$1 in
    consumer/request) wanted=request-sent ;;
    provider/request) wanted=request-received ;;
    consumer/answer) wanted=$kind-received ;;
    provider/answer) wanted=$kind-sent ;;
  esac
  if [ "$(value "$1" from)" = "$server" ]; then peer=$(value "$1" to); else peer=$(value "$1" from); fi
  decision=$(value "$1" decisionHash)
  for pair in "kind $wanted" "id $exchange" "peer $peer" "client $(value "$1" client)" "service $(value "$1" service)" \
    "purpose $(value "$1" purpose)" "basis $(value "$1" basis)" "decisionHash ${decision:-null}" \
    "statement $(shaurl "$1/statement")" "signature $(shaurl "$1/signature")"; do
    [ "$(at "$tmp/$1.entry.flat" "${pair%% *}")" = "${pair#* }" ] || fail ENTRY_WRONG "$1: it does not say what the statement says"
  done
  ok
}
# content MESSAGE: context and body open their commitments, or were lawfully destroyed
content() {
  for part in context body; do
    check "$1: $part"
    if [ -f "$1/$part" ] && [ -f "$1/$part.salt" ]; then
      [ "$(size "$1/$part.salt")" -eq 32 ] || fail COMMITMENT_WRONG "$part of the $1"
      cat "$1/$part.salt" "$1/$part" >"$tmp/salted"
      [ "$(shaurl "$tmp/salted")" = "$(value "$1" "$part/commitment")" ] || fail COMMITMENT_WRONG "$part of the $1"
      ok
    elif [ -f "destruction/$1/certificate.jws" ]; then
      destruction "$1" && gone
    else
      miss CONTENT_MISSING "$part of the $1"
    fi
  done
}
# destruction MESSAGE: the server signed that two persons had the key of exactly this record destroyed; what it says goes to
# $tmp/destruction.MESSAGE, flattened, and to $tmp/destruction.MESSAGE.payload
destruction() {
  present "destruction/$1/certificate.jws" "destruction/$1/certificate.der"
  if [ ! -f log/checkpoint ]; then
    miss CHECKPOINT_MISSING
    return 1
  fi
  note log/checkpoint checkpoint || fail CHECKPOINT_WRONG checkpoint
  compact "destruction/$1/certificate.jws" accord-destruction+jws 'alg typ x5t#S256' || fail DESTRUCTION_WRONG "$1"
  oneline "$tmp/payload" || [ "$(tr -d '\040-\176\200-\377' <"$tmp/payload" | wc -c)" -eq 0 ] || fail DESTRUCTION_WRONG "$1"
  facts "destruction/$1/certificate.der" destroyer || fail DESTRUCTION_WRONG "$1"
  cp "$tmp/payload" "$tmp/destruction.$1.payload"
  flat "$tmp/payload" >"$tmp/destruction.$1"
  [ "$(tr ',' '\n' <"$tmp/destroyer.facts" | sed -n 's/^ *URI:accord:server://p')" = "$server" ] &&
    [ "$(at "$tmp/destruction.$1" server)" = "$server" ] &&
    [ "$(shaurl "destruction/$1/certificate.der")" = "$(at "$tmp/header.flat" 'x5t#S256')" ] ||
    fail DESTRUCTION_WRONG 'it is not by the server whose log it is'
  printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
  jws "$alg" "$tmp/destroyer.key" "$tmp/input" "$sig64" || fail DESTRUCTION_WRONG 'the signature does not verify'
  grep -Eqx "$destruction_form" "$tmp/payload" || fail DESTRUCTION_WRONG "$1"
  ended=$(at "$tmp/destruction.$1" destroyedAtMs)
  chain "$later" "$tmp/destroyer.pem" $((ended / 1000)) || fail CERTIFICATE_INVALID
  { printf '\000'; cat "$1/entry"; } >"$tmp/leaf"
  written=$(at "$tmp/$1.entry.flat" t)
  # A record that is named, or one of its class and day that is not excepted and was there before the intent.
  awk -F '\t' -v origin="$origin" -v seq="$(at "$tmp/$1.entry.flat" seq)" -v leaf="$(shaurl "$tmp/leaf")" \
    -v retention="$(at "$tmp/$1.entry.flat" retention)" -v day=$((written / 86400000)) '
    { split($1, p, "/"); v[$1] = $2; n[p[1]] = p[2] > n[p[1]] ? p[2] : n[p[1]]; if (p[1] == "except") m[p[2]] = p[4] > m[p[2]] ? p[4] : m[p[2]] }
    END {
      for (i = 0; i <= n["records"]; i++) { r = "records/" i "/"
        if (v[r "origin"] == origin && v[r "seq"] == seq && v[r "leaf"] == leaf) exit 0 }
      for (i = 0; i <= n["days"]; i++) { d = "days/" i "/"
        if (v[d "retention"] == retention && v[d "firstDay"] + 0 <= day + 0 && day + 0 <= v[d "lastDay"] + 0 && (d "firstDay") in v) covered = 1 }
      for (i = 0; i <= n["except"]; i++) if (v["except/" i "/origin"] == origin)
        for (j = 0; j <= m[i]; j++) if (v["except/" i "/seqs/" j] == seq && seq != "") covered = 0
      if (v["origin"] == origin && seq + 0 >= v["intent/seq"] + 0) covered = 0
      exit covered ? 0 : 1
    }' "$tmp/destruction.$1" && [ "$ended" -ge "$written" ] || fail DESTRUCTION_WRONG 'it is about other records'
  case $destroyed_messages in *"$1"*) ;; *) destroyed_messages="$destroyed_messages $1" ;; esac
}
# message MESSAGE VERSION SUBSYSTEM
message() {
  signature "$1"
  certificate "$1" "$2" "$3"
  entry "$1"
  check "$1: certificate status"
  status "$1" "$2" $(($(value "$1" at) / 1000))
  content "$1"
}

check 'request: statement'
present request/statement
oneline request/statement || fail STATEMENT_MALFORMED request
case $(cat request/statement) in
  *'"kind":"request"'*) statement request "$statement_form\\}" ;;
  *'"kind":"settlement"'*) statement request "$statement_form,\"request\":\"$h43\"\\}" ;;
  *) statement request "$statement_form$answer_form\\}" ;;
esac
if [ "$side" = consumer ]; then own=$(value request from); else own=$(value request to); fi
[ "$(value request kind)" = request ] && [ "$(value request id)" = "$exchange" ] && [ "$own" = "$server" ] ||
  fail STATEMENT_OTHER 'not the request of this exchange'
ok
message request "$of_request" "$(value request client)"

check 'answer: statement'
answered=
if [ ! -f answer/statement ]; then
  miss ANSWER_MISSING
else
  oneline answer/statement || fail STATEMENT_MALFORMED answer
  case $(cat answer/statement) in
    *'"kind":"request"'*) statement answer "$statement_form\\}" ;;
    *'"kind":"settlement"'*) statement answer "$statement_form,\"request\":\"$h43\"\\}" ;;
    *) statement answer "$statement_form$answer_form\\}" ;;
  esac
  case $(value answer kind) in response | refusal) ;; *) fail STATEMENT_OTHER ;; esac
  [ "$(value answer request)" = "$(shaurl request/statement)" ] && [ "$(value answer from)" = "$(value request to)" ] &&
    [ "$(value answer to)" = "$(value request from)" ] || fail STATEMENT_OTHER 'it does not answer the request'
  for one in client service purpose basis; do
    [ "$(value answer $one)" = "$(value request $one)" ] || fail STATEMENT_OTHER 'it does not answer the request'
  done
  ok
  answered=yes
  service=$(value answer service)
  message answer "$of_answer" "${service%/*}"
fi
