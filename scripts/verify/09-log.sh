# Checks 20 and 21: both entries stand in the tree of the checkpoint, in their order, and the answer cites the entry of the request.

# inlog FOLDER SEQ: the entry in FOLDER stands at SEQ in the tree of $tree leaves with this $root
inlog() {
  present "$1/inclusion"
  hashes "$1/inclusion" || fail PACK_MALFORMED "$1/inclusion"
  { printf '\000'; cat "$1/entry"; } >"$tmp/leaf"
  included "$(shahex "$tmp/leaf")" "$2" "$tree" "$1/inclusion" "$root" || fail INCLUSION_WRONG "$1"
}
base() { printf '%s\n' "$1" | sed -E 's#^(accord(/[^/]+){4})/([2-9]|[1-9][0-9]{1,8})$#\1#'; }

check 'request: in the log'
if [ ! -f log/checkpoint ]; then
  miss CHECKPOINT_MISSING
  conclude
fi
note log/checkpoint checkpoint || fail CHECKPOINT_WRONG checkpoint
log_tree=$tree log_root=$root
inlog request "$(at "$tmp/request.entry.flat" seq)"
ok
if [ -n "$answered" ]; then
  check 'answer: in the log'
  inlog answer "$(at "$tmp/answer.entry.flat" seq)"
  [ "$(at "$tmp/answer.entry.flat" seq)" -gt "$(at "$tmp/request.entry.flat" seq)" ] &&
    [ "$(at "$tmp/answer.entry.flat" t)" -ge "$(at "$tmp/request.entry.flat" t)" ] || fail ENTRY_WRONG 'the answer stands before its request'
  registered "$(value answer from)" "$of_answer" || fail ENTRY_WRONG
  [ "$(base "$(value answer log/origin)")" = "$(base "$(at "$members" "$registered/log/origin")")" ] || fail ENTRY_WRONG 'the answer cites no log of its server'
  if [ "$side" = provider ]; then
    [ "$(value answer log/index)" = "$(at "$tmp/request.entry.flat" seq)" ] && [ "$(value answer log/origin)" = "$origin" ] ||
      fail ENTRY_WRONG 'the answer cites another entry of the request'
  fi
  ok
  last=$(at "$tmp/answer.entry.flat" t)
else
  last=$(at "$tmp/request.entry.flat" t)
fi

# logkey VERSION: the checkpoint that `note` read last is signed first by the registered key of the exporter's log
logkey() {
  registered "$server" "$1" || fail CHECKPOINT_WRONG "$origin"
  [ "$(base "$origin")" = "$(base "$(at "$members" "$registered/log/origin")")" ] || fail CHECKPOINT_WRONG "$origin"
  unurl "$(at "$members" "$registered/log/key")" "$tmp/logkey" || fail CHECKPOINT_WRONG
  signedfirst checkpoint "$origin" "$(hex "$tmp/logkey")" || fail CHECKPOINT_WRONG "$origin"
}
