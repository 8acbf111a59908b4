_hdist() {
  local current="${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    line="${line%%$'\t'*}"
    if [ "$line" = ":files" ]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    elif [ -n "$line" ]; then
      case "$line" in */) compopt -o nospace 2>/dev/null ;; esac
      COMPREPLY+=("$(printf %q "$line")")
    fi
  done < <(hdist --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _hdist hdist
