#compdef hdist
_hdist() {
  local -a words_found shown ends
  local line
  for line in "${(@f)$(hdist --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case "$line" in
      "") ;;
      :files) _files ;;
      */) ends+=("$line") ;;
      *) words_found+=("${line%%$'\t'*}"); shown+=("${line/$'\t'/  -- }") ;;
    esac
  done
  if (( $#words_found )); then compadd -l -d shown -a words_found; fi
  if (( $#ends )); then compadd -S '' -a ends; fi
}
compdef _hdist hdist
