# hdist-csh.sh FILE PROGRAM [WORD]...: what the hdist alias of csh and tcsh runs. For load and unload it writes what
# csh is to do into FILE, since csh has no functions; all else is the program's.
_hdist_file=$1
_hdist_program=$2
shift 2
case "${1-}" in
  load | unload) ;;
  *) exec "$_hdist_program" "$@" ;;
esac
_hdist_csh=1
. "${0%/*}/hdist.sh"
hdist "$@" > "$_hdist_file"
