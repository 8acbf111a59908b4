# The hdist function of POSIX sh, bash, zsh and ksh: load and unload change the shell, all else is the program's.
# A profile that was checked out before is loaded without starting a program.

unalias hdist 2> /dev/null || :

hdist() {
  case "${1-}" in
    load | unload)
      case " $* " in
        *' -'*) command "${_hdist_program:-hdist}" "$@" ;;
        *) _hdist_shell "$@" ;;
      esac
      ;;
    *) command "${_hdist_program:-hdist}" "$@" ;;
  esac
}

_hdist_shell() {
  _hdist_verb=$1
  _hdist_status=0
  shift
  if [ "$#" -eq 0 ]; then set -- ''; fi
  while [ "$#" -gt 0 ] && [ "$_hdist_status" -eq 0 ]; do
    if [ "$_hdist_verb" != load ]; then
      _hdist_out "$1" || _hdist_status=$?
    elif _hdist_find "$1"; then
      . "$_hdist_prefix/bin/activate"
    elif [ "$_hdist_status" -eq 0 ]; then
      _hdist_status=1
    fi
    shift
  done
  set -- "$_hdist_status"
  unset _hdist_verb _hdist_prefix _hdist_store _hdist_commit _hdist_ref _hdist_hash _hdist_name _hdist_status
  return "$1"
}

# _hdist_find NAME: where its prefix lies, in _hdist_prefix, or a link to it; '' is the current checkout
_hdist_find() {
  _hdist_store=${HDIST_STORE:-${HOME-}/.hashdist}
  _hdist_name=$1
  _hdist_commit=
  _hdist_ref=
  case "$1" in
    '')
      _hdist_prefix=$_hdist_store/current
      if [ -r "$_hdist_prefix/bin/activate" ]; then
        read -r _hdist_ref < "$_hdist_store/git/HEAD" || :
        case "$_hdist_ref" in
          'ref: refs/heads/'*) _hdist_name=${_hdist_ref#ref: refs/heads/} ;;
          *) _hdist_name=HEAD ;;
        esac
        return
      fi
      ;;
    /* | ./* | ../* | . | ..)
      # the script knows its own prefix, and a name for it
      _hdist_prefix=$1
      _hdist_name=
      if [ -r "$_hdist_prefix/bin/activate" ] && [ -r "$_hdist_prefix/.hashdist.json" ]; then return; fi
      ;;
    *..* | *[!A-Za-z0-9._/+-]*) ;;
    *)
      if [ -f "$_hdist_store/git/refs/heads/$1" ]; then
        read -r _hdist_commit < "$_hdist_store/git/refs/heads/$1" || :
      elif [ -f "$_hdist_store/git/packed-refs" ]; then
        while read -r _hdist_hash _hdist_ref; do
          if [ "$_hdist_ref" = "refs/heads/$1" ]; then _hdist_commit=$_hdist_hash; break; fi
        done < "$_hdist_store/git/packed-refs"
      fi
      ;;
  esac
  if [ -n "$_hdist_commit" ] && [ -f "$_hdist_store/index/prefix/$_hdist_commit" ]; then
    read -r _hdist_ref _hdist_hash < "$_hdist_store/index/prefix/$_hdist_commit" || :
    _hdist_prefix=$_hdist_store/prefixes/$_hdist_hash
    if [ "$_hdist_ref" = 2 ] && [ -r "$_hdist_prefix/bin/activate" ]; then return; fi
  fi
  # not checked out yet, or no plain name: the program knows
  _hdist_prefix=$(command "${_hdist_program:-hdist}" env --label ${1:+"$1"}) || _hdist_status=$?
  if [ "$_hdist_status" -ne 0 ]; then return "$_hdist_status"; fi
  _hdist_name=${_hdist_prefix%% *}
  _hdist_prefix=${_hdist_prefix#* }
  [ -r "$_hdist_prefix/bin/activate" ]
}

# _hdist_out NAME|PREFIX: '' is the last one loaded
_hdist_out() {
  case "$1" in
    /* | ./* | ../* | . | ..)
      if [ -r "$1/bin/deactivate" ] && [ -r "$1/.hashdist.json" ]; then
        . "$1/bin/deactivate"
        return
      fi
      ;;
  esac
  _hdist_rest=${HDIST_LOADED-}:
  while [ "$_hdist_rest" != : ] && [ -n "$_hdist_rest" ]; do
    _hdist_one=${_hdist_rest%%:*}
    _hdist_rest=${_hdist_rest#*:}
    if [ -z "$1" ] || [ "${_hdist_one%% *}" = "$1" ] || [ "${_hdist_one#* }" = "${1%/}" ]; then
      _hdist_prefix=${_hdist_one#* }
      unset _hdist_rest _hdist_one
      if [ -r "$_hdist_prefix/bin/deactivate" ]; then
        . "$_hdist_prefix/bin/deactivate"
      elif [ -n "${_hdist_csh-}" ]; then
        command "${_hdist_program:-hdist}" env --shell csh --unload "$_hdist_prefix"
      else
        _hdist_ref=$(command "${_hdist_program:-hdist}" env --unload "$_hdist_prefix") || return
        eval "$_hdist_ref"
      fi
      return
    fi
  done
  unset _hdist_rest _hdist_one
  printf 'hdist: %s\nhint: hdist loaded\n' "${1:-nothing} is ${1:+not }loaded" >&2
  return 1
}
