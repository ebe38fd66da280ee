#!/usr/bin/env bash
# Stands in front of `go`: writes down each call and its end, and whether it ran beside another build of the same folder. While a file `hold.VERB` or
# `hold.VERB.FOLDER` is there, such a call waits at its begin.
here=$(dirname "$0")
verb=${1:-}

note() {
    local IFS=$'\t'
    # One write, so that calls beside each other do not mix.
    printf '%s\n' "$*" >>"$here/calls"
}

# Of the builds that are noted as running in this folder, those that do; one that was killed could not take its note away.
beside() {
    local other pid found=
    for other in "$here"/now/*; do
        [ -e "$other" ] && [ "$(cat "$other")" = "$PWD" ] || continue
        pid=${other##*/}
        case $(ps -o stat= -p "$pid" 2>/dev/null) in
            '' | Z*) rm -f "$other" ;;
            *) found="$found $pid" ;;
        esac
    done
    printf '%s' "$found"
}

others=
if [ "$verb" = build ]; then
    others=$(beside)
    printf '%s' "$PWD" >"$here/now/$$"
fi
note begin $$ "${EPOCHREALTIME:-0}" "$PWD" "$others" "$@"
while [ -e "$here/hold.$verb" ] || [ -e "$here/hold.$verb.${PWD##*/}" ]; do sleep 0.02; done
"$(cat "$here/real")" "$@"
code=$?
rm -f "$here/now/$$"
note end $$ "${EPOCHREALTIME:-0}" "$code"
exit $code
