//! What `go` fetches while it builds: modules and toolchains. It can take minutes, and a person should know why.

/// Reads the growing output of one build.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    told: usize,
}

impl Fetches {
    /// What is fetched and was not told, one sentence; `said` is all that was said by now.
    pub(super) fn news(&mut self, said: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(said);
        let all: Vec<&str> = text.lines().filter_map(fetched).collect();
        let new = all.get(self.told..).unwrap_or_default();
        self.told = all.len();
        match new {
            [] => None,
            [one] => Some(format!("the build is downloading {one}")),
            [one, more @ ..] => Some(format!("the build is downloading {one} and {} more", more.len())),
        }
    }
}

/// `go: downloading golang.org/x/text v0.3.0`, as text or inside of an event.
fn fetched(line: &str) -> Option<&str> {
    let rest = line.split_once("go: downloading ")?.1;
    let what = rest.split(['"', '\\']).next().unwrap_or(rest).trim_end();
    (!what.is_empty()).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_download_is_told_once() {
        let mut fetches = Fetches::default();
        assert_eq!(fetches.news(b"# ex.com/a\n"), None);
        let mut said = b"go: downloading go1.99.0 (linux/amd64)\n".to_vec();
        assert_eq!(fetches.news(&said).unwrap(), "the build is downloading go1.99.0 (linux/amd64)");
        assert_eq!(fetches.news(&said), None);
        said.extend(b"go: downloading a.b/c v1.0.0\ngo: downloading a.b/d v1.0.0\n");
        assert_eq!(fetches.news(&said).unwrap(), "the build is downloading a.b/c v1.0.0 and 1 more");
        said.extend(br#"{"ImportPath":"a","Action":"build-output","Output":"go: downloading a.b/e v2.0.0\n"}"#);
        assert_eq!(fetches.news(&said).unwrap(), "the build is downloading a.b/e v2.0.0");
    }
}
