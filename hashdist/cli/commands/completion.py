"""``hdist completion``: print the completion script of a shell."""

from __future__ import annotations

import click

from hashdist.cli.app import App, command as make
from hashdist.cli.table import SUMMARIES

_BASH = """\
_hdist() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" one
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    for one in {commands}; do
      [[ $one == "$word"* ]] && COMPREPLY+=("$one")
    done
  else
    while IFS= read -r one; do
      [[ $one == "$word"* ]] && COMPREPLY+=("$(printf %q "$one")")
    done < <(hdist branch -q 2>/dev/null | cut -c3- | cut -d' ' -f1)
    while IFS= read -r one; do
      COMPREPLY+=("$(printf %q "$one")")
    done < <(compgen -f -- "$word")
  fi
}}
complete -F _hdist hdist
"""
_ZSH = """\
#compdef hdist
_hdist() {{
  if (( CURRENT == 2 )); then
    compadd {commands}
  else
    compadd -- "${{(@f)$(hdist branch -q 2>/dev/null | cut -c3- | cut -d' ' -f1)}}"
    _files
  fi
}}
compdef _hdist hdist
"""
_FISH = """\
complete -c hdist -f -n __fish_use_subcommand -a "{commands}"
complete -c hdist -n "not __fish_use_subcommand" -a "(hdist branch -q 2>/dev/null | cut -c3- | cut -d' ' -f1)"
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@make()
@click.argument("shell", type=click.Choice(sorted(_SCRIPTS)))
def completion(app: App, shell: str) -> None:
    """Print a script that completes commands and profiles: eval "$(hdist completion bash)"."""
    app.put(_SCRIPTS[shell].format(commands=" ".join(SUMMARIES)).rstrip("\n"))


command = completion
