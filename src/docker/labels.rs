//! What a project's things are called in the engine, and the labels they are known by. A name may be taken by somebody else; the labels decide.

/// The root of the project, absolute: of containers, volumes and networks.
pub const ROOT: &str = "orchestra.project";
/// The project's name, for people.
pub const NAME: &str = "orchestra.name";
/// `postgres.1`: of containers.
pub const INSTANCE: &str = "orchestra.instance";
/// The number of the newest run: of containers it is that of the run that made them.
pub const RUN: &str = "orchestra.run";
/// Equal settings: the container may be kept.
pub const SETTINGS: &str = "orchestra.settings";
/// The volumes without a name that a container took over from the one before it, with commas between: the engine takes what is asked for by its number for
/// named, and would keep it when the container is removed with its nameless ones.
pub const HANDED: &str = "orchestra.volumes";
/// The volume's name in the file: `pgdata`.
pub const VOLUME: &str = "orchestra.volume";

/// What a container is called where nobody else has the name, as Compose calls it: `shop-postgres-1`.
pub fn container(project: &str, service: &str, number: u32) -> String {
    format!("{project}-{service}-{number}")
}

/// What a named volume is called: `shop_pgdata`.
pub fn volume(project: &str, name: &str) -> String {
    format!("{project}_{name}")
}

/// What the project's network is called: `shop_default`.
pub fn network(project: &str) -> String {
    format!("{project}_default")
}
