//! Vendors from the outside: real servers in a real engine, asked by real clients. Without an engine these tests say so once and pass; with
//! ORCHESTRA_REQUIRE_DOCKER=1 they fail, with `able` they do where `scripts/test` found an engine.

mod away;
mod data;
mod down;
mod exec;
mod names;
mod pull;
mod remote;
mod shop;
mod start;

/// A database with a named volume, ready when it answers over TCP: its first, temporary server listens on a socket only.
const POSTGRES: &str = r#"  postgres:
    image: postgres:15
    environment: {POSTGRES_PASSWORD: dev}
    ports: ["5432"]
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1, -U, postgres], interval: 200ms}
"#;

/// A cache whose data lie in a volume without a name, which the image asks for.
const REDIS: &str =
    "  redis: {image: \"redis:7\", ports: [\"6379\"], command: [redis-server, --appendonly, \"yes\"]}\n";
