# POSIX sh, bash, zsh, ksh. The rule is that of hashdist/environment/loading.py. No program is started.

# _hdist_put VARIABLE VALUE
_hdist_put() {
  eval "$1=\$2"
  if [ "$1" != FPATH ]; then export "$1"; fi
}

# _hdist_without VALUE ENTRY: the value without the entry, in _hdist_left; false if it is not in it
_hdist_without() {
  _hdist_left=$1
  case ":$1:" in *":$2:"*) ;; *) return 1 ;; esac
  _hdist_left=":$1:"
  _hdist_left="${_hdist_left%%":$2:"*}:${_hdist_left#*":$2:"}"
  _hdist_left=${_hdist_left#:}
  _hdist_left=${_hdist_left%:}
}

# _hdist_record VARIABLE STATE: what it was before, in HDIST_BASE
_hdist_record() {
  _hdist_left=${HDIST_BASE-}
  for _hdist_one in unset empty; do
    _hdist_without "$_hdist_left" "$1=$_hdist_one" || :
  done
  _hdist_put HDIST_BASE "$1=$2${_hdist_left:+:$_hdist_left}"
}

# _hdist_add VARIABLE ENTRY DEFAULT
_hdist_add() {
  eval "_hdist_value=\${$1-} _hdist_state=\${$1+empty}"
  case "
$_hdist_exports" in *"
export $1="* | *"
declare -x $1="* | *"
typeset -x $1="*) _hdist_local= ;; *) _hdist_local=$1 ;; esac
  if [ -n "${ZSH_VERSION-}" ]; then
    eval "case \"\${(t)$1-}\" in *export*) _hdist_local= ;; *) _hdist_local=$1 ;; esac"
    if [ "$1" = FPATH ]; then _hdist_local=; fi
  fi
  if [ -n "$_hdist_value" ]; then
    case ":${HDIST_BASE-}:" in *":$1="*) ;; *) if [ -n "$_hdist_local" ]; then _hdist_record "$1" local; fi ;; esac
    _hdist_put "$1" "$2:$_hdist_value"
    return
  fi
  # zsh has a MANPATH of its own, empty and not exported
  if [ -n "${ZSH_VERSION-}" ] && [ "$1" = MANPATH ] && [ -n "$_hdist_local" ]; then _hdist_state=; fi
  _hdist_record "$1" "${_hdist_state:-unset}"
  _hdist_put "$1" "$2$3"
}

# _hdist_remove VARIABLE ENTRY DEFAULT
_hdist_remove() {
  eval "_hdist_value=\${$1-}"
  if _hdist_without "$_hdist_value" "$2"; then
    _hdist_put "$1" "$_hdist_left"
    if [ -z "$_hdist_left" ] || [ ":$_hdist_left" = "$3" ]; then
      if _hdist_without "${HDIST_BASE-}" "$1=unset"; then
        HDIST_BASE=$_hdist_left
        if [ -n "${ZSH_VERSION-}" ] && [ "$1" = MANPATH ]; then
          MANPATH=
          eval 'typeset -g +x MANPATH'
        else
          unset "$1"
        fi
      elif _hdist_without "${HDIST_BASE-}" "$1=empty"; then
        _hdist_put "$1" ''
        HDIST_BASE=$_hdist_left
      fi
    fi
  fi
}

# _hdist_unload PREFIX
_hdist_unload() {
@UNLOAD@
  _hdist_rest=${HDIST_LOADED-}:
  while [ -n "$_hdist_rest" ]; do
    _hdist_one=${_hdist_rest%%:*}
    _hdist_rest=${_hdist_rest#*:}
    if [ "${_hdist_one#* }" = "$1" ] && _hdist_without "$HDIST_LOADED" "$_hdist_one"; then
      HDIST_LOADED=$_hdist_left
    fi
  done
  if [ -z "${HDIST_LOADED-}" ]; then
    _hdist_rest=${HDIST_BASE-}:
    while [ -n "$_hdist_rest" ]; do
      case "$_hdist_rest" in *=local:*) ;; *) break ;; esac
      _hdist_one=${_hdist_rest%%:*}
      _hdist_rest=${_hdist_rest#*:}
      case "$_hdist_one" in *=local) _hdist_keep "${_hdist_one%=local}" ;; esac
    done
    unset HDIST_LOADED HDIST_BASE
  fi
}

# _hdist_keep VARIABLE: to ourselves, as it was before
_hdist_keep() {
  eval "_hdist_state=\${$1+set}"
  if [ -z "$_hdist_state" ]; then return; fi
  if [ -n "${ZSH_VERSION-}" ]; then
    eval 'typeset -g +x "$1"'
  else
    eval "_hdist_value=\${$1-}"
    unset "$1"
    eval "$1=\$_hdist_value"
  fi
}

# _hdist_load NAME PREFIX: make room for it; false if it was loaded last
_hdist_load() {
  if [ -n "${HDIST_LOADED-}" ]; then
    _hdist_one=${HDIST_LOADED%%:*}
    if [ "${_hdist_one#* }" = "$2" ]; then return 1; fi
  fi
  _hdist_exports=$(export -p)
  _hdist_more=${HDIST_LOADED-}:
  while [ -n "$_hdist_more" ]; do
    _hdist_one=${_hdist_more%%:*}
    _hdist_more=${_hdist_more#*:}
    _hdist_left=${_hdist_one#* }
    if [ -z "$_hdist_one" ]; then
      :
    elif [ "$_hdist_left" = "$2" ]; then
      _hdist_unload "$2"
    elif [ "${_hdist_one%% *}" = "$1" ] && [ "${_hdist_left%/*}" = "${2%/*}" ]; then
      _hdist_unload "$_hdist_left"
    fi
  done
}

# _hdist_print VARIABLE: what makes csh have it as it is here, on one line for its eval
_hdist_print() {
  eval "_hdist_value=\${$1-} _hdist_state=\${$1+set}"
  case "$_hdist_value" in *"
"*) return ;; esac # nothing of csh's could say it
  if [ -z "$_hdist_state" ]; then
    printf 'unsetenv %s; ' "$1"
    return
  fi
  _hdist_left=
  while :; do
    case "$_hdist_value" in *[\'\!]*) ;; *) break ;; esac
    _hdist_one=${_hdist_value%%[\'\!]*}
    _hdist_value=${_hdist_value#"$_hdist_one"}
    case "$_hdist_value" in
      \'*) _hdist_left="$_hdist_left$_hdist_one'\\''" ;;
      *) _hdist_left="$_hdist_left$_hdist_one"'\!' ;;
    esac
    _hdist_value=${_hdist_value#?}
  done
  printf "setenv %s '%s'; " "$1" "$_hdist_left$_hdist_value"
}

_hdist_done() {
  if [ -n "${_hdist_csh-}" ]; then
@PRINT@
  fi
  unset _hdist_value _hdist_state _hdist_left _hdist_rest _hdist_more _hdist_one _hdist_name _hdist_exports _hdist_local
  unset -f _hdist_put _hdist_without _hdist_record _hdist_add _hdist_remove _hdist_keep _hdist_unload _hdist_load
  unset -f _hdist_print _hdist_done
}
