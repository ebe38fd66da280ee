# What faults and reruns share: the tests' small files of figures, put into a table. Sourced after lib.sh, with $suite, the folder of rows.txt and RESULTS.md;
# $kept, where the tests leave their files; and $said, what `cargo test` said.

results=$suite/RESULTS.md

# The row that a failed test would have recorded: its first `record(N` in the sources.
row_of() {
    local file=tests/${1%::*} name=${1##*::}
    sed -n "/fn $name(/,\$p" "${file//:://}.rs" 2>/dev/null | tr '\n' ' ' | grep -o 'record( *[0-9]*' | head -n 1 | tr -dc 0-9 || true
}

mark_failed() {
    local name number
    rm -f "$kept"/FAILED "$kept"/*-FAILED-*
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p; s/^test \(.*\) - .* \.\.\. FAILED$/\1/p' "$said" | sort -u | while read -r name; do
        number=$(row_of "$name")
        rm -f "$kept"/*"-${name//::/-}.txt"
        if [ -n "$number" ]; then
            printf '**FAILED**: `%s`\n-\n' "$name" >"$kept/$(printf '%02d' "$number")-FAILED-${name//::/-}.txt"
        else
            printf '`%s`\n' "$name" >>"$kept/FAILED"
        fi
    done
}

# A row may be measured by several tests; each says one sentence. The fourth argument is said of a row that none measured.
row() {
    local file found= took=
    for file in "$kept/$(printf '%02d' "$1")"-*; do
        [ -f "$file" ] || continue
        found="$found${found:+; }$(sed -n '1s/|/\\|/gp; 1{/|/!p}' "$file")"
        took="$took${took:+, }$(sed -n 2p "$file")"
    done
    printf '| %s | %s | %s | %s | %s |\n' "$1" "$2" "$3" "${found:-$4}" "${took:--}"
}

facts() {
    local commit
    commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    printf '\n%s, commit %s: %s %s, %s cores, %s, %s.\n' "$(date -u +%Y-%m-%d)" "$commit" "$(uname -sr)" "$(uname -m)" \
        "$(getconf _NPROCESSORS_ONLN)" "$(go env GOVERSION)" "$(rustc --version | cut -d ' ' -f 1,2)"
}

# write_results WHAT [WHY ROW…]: WHAT heads the second column; WHY is said of these rows where nothing measured them.
write_results() {
    local what=$1 why=${2:-} number name expected absent
    shift $(($# < 2 ? $# : 2))
    {
        cat "$suite/RESULTS.head.md"
        facts
        printf '\n| # | %s | expected | measured | seconds |\n|---|---|---|---|---|\n' "$what"
        while IFS='~' read -r number name expected; do
            absent='not measured'
            case " $* " in *" $number "*) absent=${why:-$absent} ;; esac
            row "$number" "$name" "$expected" "$absent"
        done < <(sed 's/^\([0-9]*\)|/\1~/; s/|\([^|]*\)$/~\1/' "$suite/rows.txt")
        if [ -s "$kept/FAILED" ]; then printf '\n**FAILED**, beside the rows: %s\n' "$(sort -u "$kept/FAILED" | paste -sd ' ')"; fi
        if [ -s "$kept/foot" ]; then printf '\n%s\n' "$(cat "$kept/foot")"; fi
    } >"$results.new"
    mv "$results.new" "$results"
    say "wrote $results"
}
