//! The environment of an instance: layers, lowest first, each value filled in with the variables of all of them.
//!
//! Keys and values are bytes throughout: what the caller has in another encoding arrives as it was.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::problem::Problem;
use super::template::Template;

/// Where a variable comes from, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Whoever started the service.
    Caller,
    /// What makes a program colour its output.
    Color,
    /// Addresses of the project's services: they beat the caller's variables, not the project's.
    Found,
    /// The project's env files.
    ProjectFile,
    /// `env:` of the project.
    Project,
    /// `env:` of the command.
    Command,
    /// The service's env files.
    ServiceFile,
    /// `env:` of the service.
    Service,
    /// `-e K=V`.
    Line,
    /// What orchestra sets for the instance.
    Orchestra,
}

impl Origin {
    /// Where that is, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Origin::Caller => "caller",
            Origin::Color => "for colours",
            Origin::Found => "address of a service",
            Origin::ProjectFile => "env file of the project",
            Origin::Project => "env of the project",
            Origin::Command => "env of the command",
            Origin::ServiceFile => "env file of the service",
            Origin::Service => "env of the service",
            Origin::Line => "-e",
            Origin::Orchestra => "orchestra",
        }
    }
}

/// One value of one layer.
#[derive(Clone, Debug)]
pub enum Raw {
    /// Exactly this.
    Exact(OsString),
    /// A text with variables.
    Template(Template),
}

/// The variables of one layer.
pub type Layer = HashMap<OsString, Raw>;

/// A layer of exact values.
pub fn exact(pairs: &[(OsString, OsString)]) -> Layer {
    pairs.iter().map(|(key, value)| (key.clone(), Raw::Exact(value.clone()))).collect()
}

/// A layer of templates; a later one of the same key wins.
pub fn templates<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a Template)>) -> Layer {
    pairs.into_iter().map(|(key, value)| (key.into(), Raw::Template(value.clone()))).collect()
}

/// One value with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The layer that set it.
    pub origin: Origin,
    /// The final value.
    pub value: OsString,
}

/// Layers, lowest first.
#[derive(Debug, Default)]
pub struct Layers<'a> {
    layers: Vec<(Origin, &'a Layer)>,
    filled: RefCell<HashMap<(OsString, usize), Vec<u8>>>,
}

/// The values being filled in at present, to find circles.
type Active = Vec<(OsString, usize)>;

impl<'a> Layers<'a> {
    /// Lays a layer on top.
    pub fn push(&mut self, origin: Origin, layer: &'a Layer) {
        self.layers.push((origin, layer));
        self.filled.borrow_mut().clear();
    }

    /// Slips a layer in below all of an origin.
    pub fn insert_below(&mut self, above: Origin, origin: Origin, layer: &'a Layer) {
        let at = self.layers.iter().position(|(other, _)| *other >= above).unwrap_or(self.layers.len());
        self.layers.insert(at, (origin, layer));
        self.filled.borrow_mut().clear();
    }

    /// The final value of one variable.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.value(OsStr::new(key), self.layers.len(), &mut Vec::new())
    }

    /// Fills a template in.
    pub fn fill(&self, template: &Template) -> Result<Vec<u8>, Problem> {
        template.fill(&mut |name| self.get(name))
    }

    /// Fills a template in that must be text.
    pub fn fill_text(&self, template: &Template) -> Result<String, Problem> {
        template.fill_text(&mut |name| self.get(name))
    }

    /// Every variable, by name; all problems at once.
    pub fn all(&self) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        self.some(&|_, _| true)
    }

    /// The variables that are wanted, by the layer that sets them and their name.
    pub fn some(&self, wanted: &dyn Fn(Origin, &OsStr) -> bool) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let (mut out, mut problems) = (BTreeMap::new(), Vec::new());
        for (index, (origin, layer)) in self.layers.iter().enumerate() {
            // Hundreds of services share addresses, and most layers are small: this loop is the longest of a big project.
            let above: Vec<&Layer> =
                self.layers[index + 1..].iter().map(|(_, l)| *l).filter(|l| !l.is_empty()).collect();
            for (key, raw) in *layer {
                if !wanted(*origin, key) || above.iter().any(|layer| layer.contains_key(key)) {
                    continue;
                }
                let value = match raw {
                    Raw::Exact(value) => Ok(value.clone()),
                    Raw::Template(_) => self
                        .value(key, index + 1, &mut Vec::new())
                        .map(|value| OsString::from_vec(value.unwrap_or_default())),
                };
                match value {
                    Ok(value) => drop(out.insert(key.clone(), Variable { origin: *origin, value })),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// The value that the layers below `below` give a key. A value that names itself means what is under it (`PATH: bin:${PATH}`).
    fn value(&self, key: &OsStr, below: usize, active: &mut Active) -> Result<Option<Vec<u8>>, Problem> {
        let found =
            self.layers[..below].iter().enumerate().rev().find_map(|(at, (_, layer))| Some((at, layer.get(key)?)));
        let (at, template) = match found {
            None => return Ok(None),
            Some((_, Raw::Exact(value))) => return Ok(Some(value.as_bytes().to_vec())),
            Some((at, Raw::Template(template))) => (at, template),
        };
        let slot = (key.to_owned(), at);
        if let Some(value) = self.filled.borrow().get(&slot) {
            return Ok(Some(value.clone()));
        }
        if active.contains(&slot) {
            return Err(circle(template, active, &slot));
        }
        active.push(slot.clone());
        let value = template.fill(&mut |name| {
            let name = OsStr::new(name);
            let below = if name == key { at } else { self.layers.len() };
            self.value(name, below, active)
        });
        active.pop();
        let value = value?;
        self.filled.borrow_mut().insert(slot, value.clone());
        Ok(Some(value))
    }
}

fn circle(template: &Template, active: &Active, slot: &(OsString, usize)) -> Problem {
    let from = active.iter().position(|other| other == slot).unwrap_or(0);
    let names: Vec<_> = active[from..].iter().chain([slot]).map(|(key, _)| key.to_string_lossy()).collect();
    template.problem(format!("these variables name each other in a circle: {}", names.join(" → ")))
}

/// The value as it may be shown: masked where its name looks secret.
pub fn masked(key: &str, value: &str) -> String {
    if is_secret(key) && !value.is_empty() { "********".to_owned() } else { hide_passwords(value) }
}

/// Whether the name of a variable, or of a field of a log (`accessKey`, `Authorization`), looks as if its value were secret.
pub fn is_secret(key: &str) -> bool {
    let upper = upper_words(key);
    let joined = key.to_ascii_uppercase();
    let whole = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "PRIVATE"];
    let words = ["KEY", "KEYS", "PASS", "PWD", "PAT", "AUTH", "AUTHORIZATION", "COOKIE", "CREDS", "DSN"];
    upper != "PWD"
        && upper != "OLDPWD"
        && (whole.iter().any(|word| joined.contains(word))
            || upper.split(['_', '-', '.']).any(|part| words.contains(&part)))
}

/// `accessKey` → `ACCESS_KEY`; what has its words apart already only becomes upper case.
fn upper_words(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    let mut after_lower = false;
    for c in key.chars() {
        if after_lower && c.is_ascii_uppercase() {
            out.push('_');
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// A text with the password of each URL in it (`postgres://user:password@host/db`) as stars.
pub fn hide_passwords(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(scheme) = rest.find("://") {
        let (before, after) = rest.split_at(scheme + 3);
        out.push_str(before);
        let (authority, behind) = after.split_at(after.find(['/', ' ', '\t', '\n', '"']).unwrap_or(after.len()));
        match authority.rfind('@').and_then(|at| Some((authority[..at].find(':')?, at))) {
            Some((colon, at)) if at > colon + 1 => {
                out.push_str(&authority[..colon]);
                out.push_str(":********");
                out.push_str(&authority[at..]);
            }
            _ => out.push_str(authority),
        }
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&str, &str)]) -> Layer {
        pairs.iter().map(|(k, v)| (OsString::from(k), Raw::Template(Template::parse(v, None)))).collect()
    }

    #[test]
    fn the_highest_layer_wins_and_values_see_all_layers() {
        let caller = exact(&[
            ("HOME".into(), "/home/me".into()),
            ("PATH".into(), "/bin".into()),
            ("A".into(), "${HOME}".into()),
        ]);
        let project = layer(&[("PATH", "${HOME}/p:${PATH}"), ("URL", "http://${HOST}"), ("HOST", "project")]);
        let service = layer(&[("PATH", "${HOME}/s:${PATH}"), ("HOST", "service")]);
        let mut layers = Layers::default();
        layers.push(Origin::Caller, &caller);
        layers.push(Origin::Project, &project);
        layers.push(Origin::Service, &service);
        let all = layers.all().unwrap();
        let found: Vec<_> =
            all.iter().map(|(k, v)| (k.to_str().unwrap(), v.origin, v.value.to_str().unwrap())).collect();
        let expected = [
            ("A", Origin::Caller, "${HOME}"),
            ("HOME", Origin::Caller, "/home/me"),
            ("HOST", Origin::Service, "service"),
            ("PATH", Origin::Service, "/home/me/s:/home/me/p:/bin"),
            ("URL", Origin::Project, "http://service"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_of_the_caller_survive() {
        let raw = OsString::from_vec(vec![0xff, b'x']);
        let caller = exact(&[("RAW".into(), raw.clone())]);
        let service = layer(&[("COPY", "<${RAW}>")]);
        let mut layers = Layers::default();
        layers.push(Origin::Caller, &caller);
        layers.push(Origin::Service, &service);
        let all = layers.all().unwrap();
        assert_eq!(all[OsStr::new("RAW")].value, raw);
        assert_eq!(all[OsStr::new("COPY")].value.as_bytes(), b"<\xffx>");
    }

    #[test]
    fn circles_and_bombs_end() {
        let service = layer(&[("A", "${B}"), ("B", "${C}"), ("C", "${A}")]);
        let mut layers = Layers::default();
        layers.push(Origin::Service, &service);
        let message = layers.get("A").unwrap_err().message;
        assert_eq!(message, "these variables name each other in a circle: A → B → C → A");

        let names: Vec<String> = (0..64).map(|n| format!("V{n}")).collect();
        let mut bomb: Layer = layer(&[("V64", "")]);
        for (n, name) in names.iter().enumerate() {
            let text = format!("${{V{}}}", n + 1).repeat(4);
            bomb.insert(name.into(), Raw::Template(Template::parse(&text, None)));
        }
        let mut layers = Layers::default();
        layers.push(Origin::Service, &bomb);
        assert_eq!(layers.get("V0").unwrap(), Some(Vec::new()));
    }

    #[test]
    fn secrets_are_masked() {
        let secret = [
            "DB_PASSWORD",
            "token",
            "AWS_SECRET_ACCESS_KEY",
            "API_KEY",
            "GITHUB_PAT",
            "apiKey",
            "accessKeyId",
            "passWord",
            "Authorization",
            "set-cookie",
        ];
        for key in secret {
            assert_eq!(masked(key, "x"), "********", "{key}");
        }
        for key in ["PATH", "MONKEY", "KEYBOARD", "PWD", "PORT", "LOG_LEVEL", "userId", "author"] {
            assert_eq!(masked(key, "x"), "x", "{key}");
        }
        assert_eq!(masked("DATABASE_URL", "postgres://me:pw@host:5432/db"), "postgres://me:********@host:5432/db");
        assert_eq!(masked("ADDR", "http://host:80/a:b@c"), "http://host:80/a:b@c");
        let two = "from amqp://a:b@c to http://host and me:x@y; redis://:pw@h:1";
        assert_eq!(masked("TEXT", two), "from amqp://a:********@c to http://host and me:x@y; redis://:********@h:1");
    }
}
