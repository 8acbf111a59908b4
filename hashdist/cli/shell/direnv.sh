# For direnv: put this into ~/.config/direnv/lib/hdist.sh, and 'use hdist main' into .envrc.
use_hdist() {
  local store=${HDIST_STORE:-$HOME/.hashdist} name text
  # what a commit, a switch, or git's packing of refs changes
  watch_file "$store/git/HEAD" "$store/git/packed-refs" "$store/git/refs/checkouts/current/at"
  for name in "$@"; do
    watch_file "$store/git/refs/heads/$name"
  done
  text=$(@PROGRAM@ env "$@") || return
  eval "$text"
}
