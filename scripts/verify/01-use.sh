# sh verify.sh FOLDER --anchor DIR
#
# Checks an unpacked evidence pack (docs/evidence.md) with openssl 3 and the tools of POSIX, trusting nobody: neither of the
# two departments, nor the registry, nor the program that made the pack. Everything is derived from DIR/anchor.json, which
# must be the auditor's own copy and never one that came with the pack. Copy this file from a place that you trust, too.
#
# The numbered checks are those of `accord audit verify`, with the same verdict and code:
#   VALID, COMMITMENT-ONLY   exit 0     what it claims is proven; of the second, contents were lawfully destroyed
#   INCOMPLETE(CODE)         exit 5     what is there is right, and something is not there
#   INVALID(CODE)            exit 7     something is not what it claims to be: the pack proves nothing
#   wrong use                exit 2
# The first check that fails ends the run; what was not looked at is printed as NOT CHECKED. ML-DSA-44 cosignatures are
# looked at with openssl 3.5 or newer only; the Ed25519 ones beside them are what the quorum counts.
#
# Whoever made the pack controls every byte in FOLDER. So hashes and signatures are compared before anything is parsed,
# nothing from a file is ever run, and no text from a file reaches a pattern or an argument before its alphabet was checked.
set -u
set -f
LC_ALL=C
OPENSSL_CONF=/dev/null
export LC_ALL OPENSSL_CONF
umask 077

usage() {
  echo 'use: sh verify.sh FOLDER --anchor DIR' >&2
  exit 2
}
[ $# -eq 3 ] && [ "$2" = --anchor ] || usage
[ -d "$1" ] && [ -f "$3/anchor.json" ] || usage
pack=$(cd "$1" && pwd) && anchor=$(cd "$3" && pwd) || usage
case $(openssl version 2>/dev/null) in
  'OpenSSL 3'* | 'OpenSSL '[4-9]*) ;;
  *) echo 'openssl 3 is needed' >&2; exit 2 ;;
esac
tmp=${TMPDIR:-/tmp}/accord-verify.$$
mkdir "$tmp" || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM
cd "$pack" || exit 2
