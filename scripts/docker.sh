# The Docker engine of the tests of vendors: the one that answers already, which is used and never touched, else one of our own. Sourced after lib.sh.
#
# Ours has its data below target/tools/docker, a socket of its own and a bridge of its own, and changes no rule of the machine's firewall, so that it disturbs no
# other engine. It is started by the first script that needs it and stopped by the last one that ends; its data, the images among them, stay for the next time.

docker_home=$tools/docker
# Sockets have short paths.
docker_run=/tmp/orchestra-engine-$(id -u)-$(printf %s "$docker_home" | cksum | cut -d ' ' -f 1)
docker_own=unix://$docker_run/docker.sock
# Why there is no engine, in one line.
docker_lacks=

limited() { if have timeout; then timeout "${patience:-20}" "$@"; else "$@"; fi; }
docker_answers() { have docker && limited docker version </dev/null >/dev/null 2>&1; }

# Sets DOCKER_HOST, which says to every test where the engine is, and returns 0; or sets $docker_lacks.
need_docker() {
    if docker_answers; then
        DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect -f '{{.Endpoints.docker.Host}}' 2>/dev/null || echo unix:///var/run/docker.sock)}
    elif [ -n "${DOCKER_HOST:-}" ]; then
        docker_lacks="no Docker engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset DOCKER_HOST"
    elif [ "$(uname -s)" != Linux ]; then
        docker_lacks="no Docker engine answers: start Docker Desktop, OrbStack or colima"
    elif ! as_root true; then
        docker_lacks="no Docker engine answers: install Docker (\`apt install docker.io\`) and start it, or run this as root, which starts one of its own"
    elif ! { have dockerd && have docker && have ip; } && ! docker_install; then
        docker_lacks="there is no Docker engine, and apt cannot install one: install Docker as https://docs.docker.com/engine/install/ says"
    elif docker_start; then
        DOCKER_HOST=$docker_own
    fi
    [ -z "$docker_lacks" ] || return 1
    export DOCKER_HOST
}

# The images that the tests run; sets $docker_lacks where they are neither there nor can be made.
need_images() {
    local image made
    for image in postgres:15 redis:7 nats:2 busybox:1 registry:2; do
        if ! limited docker image inspect "$image" </dev/null >/dev/null 2>&1; then
            say "make images of PostgreSQL, Redis, NATS, busybox and a registry"
            made=$("$root/scripts/images" </dev/null 2>&1) || { docker_lacks="there are no images: $(printf '%s' "$made" | tail -n 1)"; return 1; }
            return
        fi
    done
}

# Whether containers run: an engine may answer where the kernel lets it start none. Sets $docker_lacks where they do not.
need_containers() {
    local said
    said=$(patience=300 limited docker run --rm --network none busybox:1 true </dev/null 2>&1) && return
    said=$(printf '%s\n' "$said" | grep -v "^See 'docker run" | tail -n 1 | cut -c 1-300)
    docker_lacks="the Docker engine at $DOCKER_HOST runs no containers here; it says: ${said:-nothing}"
    return 1
}

# The run level keeps the package from starting the engine it installs.
docker_install() {
    export RUNLEVEL=1
    apt_install docker.io iproute2 || return 1
    unset RUNLEVEL
    hash -r
    have dockerd && have docker && have ip
}

# Descriptor 8 is held by whoever starts or stops it, 9 by everyone who uses it.
docker_start() {
    mkdir -p "$docker_home" "$docker_run"
    exec 8>>"$docker_home/starting" 9>>"$docker_home/using"
    flock 8
    flock -s 9
    trap docker_stop EXIT
    if ! DOCKER_HOST=$docker_own docker_answers; then docker_launch; fi
    flock -u 8
    [ -z "$docker_lacks" ]
}

docker_launch() {
    local bridge=orc${docker_run##*-} log=$docker_home/dockerd.log launched=1 until=$((SECONDS + 300)) pid
    docker_sweep
    say "start a Docker engine for the tests"
    # Where no bridge can be made the engine itself says what it misses.
    as_root ip link add "${bridge:0:15}" type bridge 2>/dev/null || true
    echo '{}' >"$docker_run/daemon.json"
    docker_run_engine "$log" "${bridge:0:15}"
    # A busy machine may need long; an engine that has ended never answers.
    while [ "$SECONDS" -lt "$until" ]; do
        if DOCKER_HOST=$docker_own docker_answers; then return; fi
        if ! kill -0 "$pid" 2>/dev/null; then
            # dockerd gives its containerd a fixed time to begin, and that may be too short here.
            { [ "$launched" -lt 6 ] && grep -q 'timeout waiting for containerd' "$log"; } || break
            launched=$((launched + 1))
            docker_sweep
            docker_run_engine "$log" "${bridge:0:15}"
        fi
        sleep 0.2
    done
    docker_lacks="a Docker engine cannot be started here; dockerd says: $(docker_reason "$log")"
    docker_sweep
    as_root ip link del "${bridge:0:15}" 2>/dev/null || true
    return 1
}

# Starts dockerd, and sets $pid. Without the firewall's rules ports are published by a process of the engine's, and containers reach each other, but not the world.
docker_run_engine() {
    as_root setsid dockerd --config-file "$docker_run/daemon.json" --data-root "$docker_home/data" --exec-root "$docker_run/exec" \
        --pidfile "$docker_run/pid" --host "$docker_own" --group "$(id -g)" --bridge "$2" \
        --iptables=false --ip6tables=false --ip-forward=false </dev/null >"$1" 2>&1 8>&- 9>&- &
    pid=$!
}

# Why dockerd ended: its last words, without time and colour; of one that said nothing, that.
docker_reason() {
    local said
    said=$(grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1 | sed 's/.*msg=//' | tr -cd '[:print:]' | cut -c 1-300)
    printf '%s' "${said:-nothing, and it does not answer}"
}

# What was left of it: it was killed, or the machine was.
docker_sweep() {
    local proc
    for proc in /proc/[0-9]*; do
        # Everything of this engine has the path of its folder among its arguments.
        if tr '\0' ' ' 2>/dev/null <"$proc/cmdline" | grep -q "^[^ ]*\(dockerd\|containerd[^ ]*\) .*$docker_run/"; then
            as_root kill -9 "${proc#/proc/}" 2>/dev/null || true
        fi
    done
    as_root rm -rf "${docker_run:?}"/{exec,pid,docker.sock}
}

# Ends it when nobody else uses it.
docker_stop() {
    local bridge=orc${docker_run##*-} pid
    flock 8
    flock -u 9
    flock -n 9 || return 0
    pid=$(cat "$docker_run/pid" 2>/dev/null) || return 0
    as_root kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 150); do
        [ -e "/proc/$pid" ] || break
        sleep 0.2
    done
    docker_sweep
    as_root ip link del "${bridge:0:15}" 2>/dev/null || true
}
