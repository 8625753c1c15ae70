# Checks 27 to 34: where something was destroyed, that two persons wanted it, in which order, and who vouches for the log that says it.

if [ -z "$destroyed_messages" ]; then
  for one in certificate 'two persons' order 'in the log' checkpoint 'aggregate log' witnesses time-stamp; do
    check "destruction: $one"
    ok 'nothing was destroyed'
  done
  conclude
fi

# said MESSAGE KEY: what the certificate says
said() { at "$tmp/destruction.$1" "$2"; }
# logged MESSAGE: the two entries and their notes say what the certificate says
logged() {
  folder=destruction/$1
  id=$(said "$1" destruction)
  for kind in intended done; do
    present "$folder/$kind/entry" "$folder/$kind/note"
    entryform "$folder/$kind/entry" "$1.$kind" || fail DESTRUCTION_ENTRY_WRONG "$1: the entry $kind"
    [ "$(at "$tmp/$1.$kind.entry.flat" kind)" = "destruction-$kind" ] && [ "$(at "$tmp/$1.$kind.entry.flat" id)" = "$id" ] &&
      [ "$(at "$tmp/$1.$kind.entry.flat" statement)" = "$(shaurl "$folder/$kind/note")" ] ||
      fail DESTRUCTION_ENTRY_WRONG "$1: the entry $kind"
  done
  printf '{"certificate":"%s","destruction":"%s","v":1}' "$(cat "$folder/certificate.jws")" "$id" >"$tmp/note"
  cmp -s "$tmp/note" "$folder/done/note" || fail DESTRUCTION_ENTRY_WRONG "$1: another certificate"
  { printf '\000'; cat "$folder/intended/entry"; } >"$tmp/leaf"
  [ "$(at "$tmp/$1.intended.entry.flat" seq)" = "$(said "$1" intent/seq)" ] && [ "$(shaurl "$tmp/leaf")" = "$(said "$1" intent/leaf)" ] ||
    fail DESTRUCTION_ENTRY_WRONG "$1: the certificate cites another intent"
  # The note of the intent is what the certificate says without what only the certificate knows.
  sed -e 's/,"destroyedAtMs":[0-9]*,"destruction":"/,"destruction":"/' \
    -e 's/,"intent":{"leaf":"[A-Za-z0-9_-]*","seq":[0-9]*},"kind":"destruction","legalBasis":/,"legalBasis":/' \
    -e 's/,"origin":"[^"]*","reason":/,"reason":/' -e 's/,"server":"[^"]*","v":1}$/,"v":1}/' "$tmp/destruction.$1.payload" |
    tr -d '\n' >"$tmp/note"
  cmp -s "$tmp/note" "$folder/intended/note" || fail DESTRUCTION_ENTRY_WRONG "$1: something else was done than intended"
}
# A name as people compare it: without upper case and needless spaces. Of letters beyond ASCII nothing is said here.
spelled() { printf '%s' "$1" | tr 'A-Z' 'a-z' | sed 's/  */ /g; s/^ //; s/ $//'; }
# number ORIGIN: which of its server's logs
number() { if [ "$(base "$1")" = "$1" ]; then echo 1; else echo "${1##*/}"; fi; }
# order MESSAGE: the record, the word of two persons, the intent, the end of the keys, what is written of it
order() {
  record=$tmp/$1.entry.flat intended=$tmp/$1.intended.entry.flat done=$tmp/$1.done.entry.flat
  of=$(said "$1" origin) ended=$(said "$1" destroyedAtMs) begun=$(at "$intended" t)
  [ "$(base "$of")" = "$(base "$log_origin")" ] && [ "$(number "$log_origin")" -le "$(number "$of")" ] || return 1
  [ "$log_origin" != "$of" ] || [ "$(at "$record" seq)" -lt "$(at "$intended" seq)" ] || return 1
  [ "$(at "$record" t)" -le $((begun + 300000)) ] && [ "$(said "$1" approved/atMs)" -le $((begun + 300000)) ] &&
    [ "$(at "$intended" seq)" -lt "$(at "$done" seq)" ] && [ "$begun" -le "$(at "$done" t)" ] &&
    [ "$begun" -le $((ended + 300000)) ] && [ "$ended" -le "$(at "$done" t)" ]
}

check 'destruction: certificate'
unlogged=
for whose in $destroyed_messages; do
  if [ -f "destruction/$whose/intended/entry" ] && [ -f "destruction/$whose/done/entry" ]; then logged "$whose"; else unlogged=${unlogged:-$whose}; fi
done
if [ -n "$unlogged" ]; then miss DESTRUCTION_NOT_LOGGED "$unlogged"; else ok; fi

check 'destruction: two persons'
for whose in $destroyed_messages; do
  [ "$(said "$whose" requested/key)" != "$(said "$whose" approved/key)" ] &&
    [ "$(spelled "$(said "$whose" requested/name)")" != "$(spelled "$(said "$whose" approved/name)")" ] ||
    fail DESTRUCTION_BY_ONE "$whose"
done
ok
[ -z "$unlogged" ] || conclude

check 'destruction: order'
for whose in $destroyed_messages; do order "$whose" || fail DESTRUCTION_ORDER_WRONG "$whose"; done
ok

check 'destruction: in the log'
folder=log
[ ! -f destruction/log/checkpoint ] || folder=destruction/log
note "$folder/checkpoint" checkpoint || fail CHECKPOINT_WRONG checkpoint
uncovered=
for whose in $destroyed_messages; do
  if [ ! -f "destruction/$whose/done/inclusion" ]; then
    uncovered=${uncovered:-$whose}
    continue
  fi
  [ "$(said "$whose" origin)" = "$origin" ] || fail DESTRUCTION_ENTRY_WRONG "$whose: it was intended in another log"
  for kind in intended done; do
    inlog "destruction/$whose/$kind" "$(at "$tmp/$whose.$kind.entry.flat" seq)"
  done
done
if [ -n "$uncovered" ]; then
  miss CHECKPOINT_MISSING "the destruction of the $uncovered"
  conclude
fi
ok

if [ "$folder" = log ]; then
  for one in checkpoint 'aggregate log' witnesses time-stamp; do
    check "destruction: $one"
    ok 'the checkpoint of the exchange'
  done
  conclude
fi
check 'destruction: checkpoint'
logkey "$later"
ok
last=0
for whose in $destroyed_messages; do
  written=$(at "$tmp/$whose.done.entry.flat" t)
  [ "$written" -le "$last" ] || last=$written
done
vouched destruction/log "$later" "$last" 'destruction: '
conclude
