"""The scripts that make a shell ask `bakeoff -sc query=SHELL` at a TAB."""

# Bash replaces only what follows the last of its word breaks, such as the `=` of `model=c`, and
# hands exactly that over as $2; `begun` is what stands before it and must not be repeated.
_BASH = r"""_bakeoff() {
    local word=${COMP_LINE:0:COMP_POINT} program=${1/#\~/$HOME} begun candidate
    word=${word##*[[:space:]]}
    begun=${word%"$2"}
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"$begun"}")
    done < <(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT command "$program" -sc query=bash 2>/dev/null)
    [[ ${COMPREPLY[0]-} != *[=.] ]] || compopt -o nospace 2>/dev/null
}
complete -o bashdefault -o default -F _bakeoff bakeoff
"""
_ZSH = r"""_bakeoff() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX" program=${words[1]/#\~/$HOME}
    local -a found
    found=(${(f)"$(COMP_LINE=$line command "$program" -sc query=zsh 2>/dev/null)"})
    (( $#found )) || { compset -P '*='; _files; return; }
    compadd -Q -S '' -- ${(M)found:#*[=.]}
    compadd -Q -- ${found:#*[=.]}
    return 0
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _bakeoff bakeoff
"""
_FISH = r"""function __bakeoff_complete
    set -l program (commandline -opc)[1]
    set -l word (commandline -ct)
    set -lx COMP_LINE (commandline -cp)
    set -l found (command $program -sc query=fish 2>/dev/null)
    if not set -q found[1]
        set -l begun (string match -r '^.*=' -- $word; or echo '')
        set found $begun(__fish_complete_path (string replace -r '^.*=' '' -- $word))
    end
    string join \n -- $found
end
complete -c bakeoff -f -a '(__bakeoff_complete)'
"""
SCRIPTS = {
    "install": {"bash": _BASH, "zsh": _ZSH, "fish": _FISH},
    "uninstall": {
        "bash": "complete -r bakeoff 2>/dev/null; unset -f _bakeoff\n",
        "zsh": "(( ! $+functions[_bakeoff] )) || { compdef -d bakeoff; unfunction _bakeoff; }\n",
        "fish": "complete -e -c bakeoff; functions -e __bakeoff_complete\n",
    },
}
SHELLS = tuple(SCRIPTS["install"])
