# Completion for bash: the program itself knows what may follow.

_invoicegatectl() {
    local current=${COMP_WORDS[COMP_CWORD]} offered
    offered=$("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
}
complete -o default -F _invoicegatectl invoicegatectl
