//! Which program opens a place in a file, and how: `$ORCHESTRA_EDITOR`, else `$VISUAL`, else `$EDITOR`, else `vi`. A decision; it runs nothing.
//!
//! What is run is always a list of words, never a line for a shell, and the file is a whole path below a folder of code. So neither the name of a file in
//! somebody's log nor a variable with a blank in it can say anything else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::words;

/// The variables that name an editor, the strongest first.
pub const VARIABLES: [&str; 3] = ["ORCHESTRA_EDITOR", "VISUAL", "EDITOR"];
/// Where no variable says anything.
const DEFAULT: &str = "vi";

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As a log or the compiler names it: a whole path, or one from the project's folder.
    pub file: PathBuf,
    /// From 1; 0 when it is not known.
    pub line: u32,
    /// From 1; 0 when it is not known.
    pub column: u32,
}

/// The folders whose files may be opened.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// The project. Paths that are not whole begin here.
    pub project: PathBuf,
    /// What `go env GOMODCACHE` says.
    pub modules: Option<PathBuf>,
    /// What `go env GOROOT` says.
    pub goroot: Option<PathBuf>,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Where it shows itself.
    pub screen: Screen,
}

/// Where an editor shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// In this terminal: the dashboard leaves it, waits, and draws itself anew.
    Terminal,
    /// In a window of its own: it is started and forgotten.
    Window,
}

/// Why nothing is opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such file.
    #[error("there is no file `{}`", .0.display())]
    Missing(PathBuf),
    /// It is no code of the project, of a module or of Go.
    #[error("`{}` is outside of the project, the module cache and GOROOT", .0.display())]
    Outside(PathBuf),
    /// The variable does not say a command.
    #[error("`${variable}` names no command: {reason}")]
    NoCommand {
        /// Which one.
        variable: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Finds the file a place names, links followed: it must lie below one of the roots, wherever links lead.
///
/// Looks at the file system.
pub fn find(place: &Place, roots: &Roots) -> Result<Place, Refused> {
    let named = roots.project.join(&place.file);
    let real = |path: &Path| path.canonicalize().ok();
    let file = real(&named).filter(|file| file.is_file()).ok_or_else(|| Refused::Missing(place.file.clone()))?;
    let allowed = [Some(&roots.project), roots.modules.as_ref(), roots.goroot.as_ref()];
    let inside = allowed.into_iter().flatten().filter_map(|root| real(root)).any(|root| file.starts_with(root));
    if !inside {
        return Err(Refused::Outside(named));
    }
    Ok(Place { file, ..place.clone() })
}

/// Which command opens a place that was found. `variable` gives the value of a variable of the environment, those of [`VARIABLES`].
pub fn open(place: &Place, variable: impl Fn(&str) -> Option<OsString>) -> Result<Open, Refused> {
    let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
    let Some((name, value)) = VARIABLES.into_iter().find_map(set) else {
        return Ok(of_words(vec![DEFAULT.to_owned()], place));
    };
    let refused = |reason: &str| Refused::NoCommand { variable: name.to_owned(), reason: reason.to_owned() };
    let value = value.into_string().map_err(|_| refused("it is no UTF-8"))?;
    let words = words::split(&value).map_err(|unclosed| refused(&unclosed.to_string()))?;
    if words.first().is_none_or(String::is_empty) {
        return Err(refused("it is empty"));
    }
    if name == VARIABLES[0] && words.iter().skip(1).any(|word| word.contains("{file}")) {
        return Ok(of_template(&words, place));
    }
    Ok(of_words(words, place))
}

/// `code --wait -g {file}:{line}:{column}`: the words with the place put in. A number that is not known is 1.
fn of_template(words: &[String], place: &Place) -> Open {
    let (line, column) = (place.line.max(1).to_string(), place.column.max(1).to_string());
    let fill = |word: &String| {
        let word = word.replace("{line}", &line).replace("{column}", &column);
        // Last, and once: a name may hold braces.
        let mut out = OsString::new();
        for (at, part) in word.split("{file}").enumerate() {
            if at > 0 {
                out.push(&place.file);
            }
            out.push(part);
        }
        out
    };
    Open { argv: words.iter().map(fill).collect(), screen: editor(&words[0]).map_or(Screen::Terminal, |e| e.screen) }
}

/// The words of a variable, with the place behind them in the way of that editor.
fn of_words(words: Vec<String>, place: &Place) -> Open {
    let known = words.first().and_then(|program| editor(program));
    let form = known.map_or(Form::File, |editor| editor.form);
    let mut argv: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    argv.extend(form.arguments(place));
    Open { argv, screen: known.map_or(Screen::Terminal, |editor| editor.screen) }
}

/// How an editor is told a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `FILE`
    File,
    /// `+L FILE`
    Plus,
    /// `+L:C FILE`
    PlusColon,
    /// `+L,C FILE`
    PlusComma,
    /// `FILE:L:C`
    Colons,
    /// `-g FILE:L:C`
    Goto,
    /// `--line L --column C FILE`
    Options,
    /// `-l L FILE`
    Short,
}

impl Form {
    fn arguments(self, place: &Place) -> Vec<OsString> {
        let file = place.file.clone().into_os_string();
        let (line, column) = (place.line, place.column);
        if line == 0 {
            return vec![file];
        }
        let with_column = |mark: &str| if column == 0 { format!("+{line}") } else { format!("+{line}{mark}{column}") };
        let colons = || {
            let mut whole = file.clone();
            whole.push(format!(":{line}"));
            if column > 0 {
                whole.push(format!(":{column}"));
            }
            whole
        };
        let named = |names: [&str; 2]| {
            let mut all: Vec<OsString> = vec![names[0].into(), line.to_string().into()];
            if column > 0 {
                all.extend([names[1].into(), column.to_string().into()]);
            }
            all.push(file.clone());
            all
        };
        match self {
            Form::File => vec![file],
            Form::Plus => vec![format!("+{line}").into(), file],
            Form::PlusColon => vec![with_column(":").into(), file],
            Form::PlusComma => vec![with_column(",").into(), file],
            Form::Colons => vec![colons()],
            Form::Goto => vec!["-g".into(), colons()],
            Form::Options => named(["--line", "--column"]),
            Form::Short => vec!["-l".into(), line.to_string().into(), file],
        }
    }
}

/// An editor that is known.
#[derive(Clone, Copy, Debug)]
struct Editor {
    form: Form,
    screen: Screen,
}

/// By the name of the program, whatever folder it is in.
fn editor(program: &str) -> Option<Editor> {
    let name = Path::new(program).file_name().and_then(OsStr::to_str)?;
    let name = name.strip_suffix(".sh").unwrap_or(name);
    let (form, screen) = match name {
        "vi" | "vim" | "nvim" | "view" | "kak" | "joe" | "mg" | "ne" | "vis" | "nvi" => (Form::Plus, Screen::Terminal),
        "gvim" | "mvim" | "nvim-qt" | "neovide" | "gedit" | "gnome-text-editor" | "xed" | "pluma" => {
            (Form::Plus, Screen::Window)
        }
        "emacs" | "emacsclient" => (Form::PlusColon, Screen::Terminal),
        "nano" | "pico" => (Form::PlusComma, Screen::Terminal),
        "micro" => (Form::PlusColon, Screen::Terminal),
        "hx" | "helix" => (Form::Colons, Screen::Terminal),
        "zed" | "zeditor" | "subl" | "sublime_text" | "lapce" | "lite-xl" => (Form::Colons, Screen::Window),
        "code" | "code-insiders" | "codium" | "vscodium" | "cursor" | "windsurf" | "positron" | "trae" => {
            (Form::Goto, Screen::Window)
        }
        "goland" | "idea" | "fleet" | "clion" | "pycharm" | "webstorm" => (Form::Options, Screen::Window),
        "kate" | "kwrite" | "mousepad" => (Form::Options, Screen::Window),
        "mate" => (Form::Short, Screen::Window),
        _ => return None,
    };
    Some(Editor { form, screen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(line: u32, column: u32) -> Place {
        Place { file: PathBuf::from("/p/a b.go"), line, column }
    }

    fn run(variables: &[(&str, &str)], place: &Place) -> Result<(Vec<String>, Screen), Refused> {
        let of = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        let opened = open(place, of)?;
        Ok((opened.argv.into_iter().map(|word| word.into_string().unwrap()).collect(), opened.screen))
    }

    #[test]
    fn every_editor_is_told_the_place() {
        let cases: [(&str, &[&str], Screen); 18] = [
            ("vi", &["vi", "+41", "/p/a b.go"], Screen::Terminal),
            ("vim", &["vim", "+41", "/p/a b.go"], Screen::Terminal),
            ("/usr/bin/nvim", &["/usr/bin/nvim", "+41", "/p/a b.go"], Screen::Terminal),
            ("kak", &["kak", "+41", "/p/a b.go"], Screen::Terminal),
            ("gvim -f", &["gvim", "-f", "+41", "/p/a b.go"], Screen::Window),
            ("emacs", &["emacs", "+41:17", "/p/a b.go"], Screen::Terminal),
            ("emacs -nw", &["emacs", "-nw", "+41:17", "/p/a b.go"], Screen::Terminal),
            ("emacsclient -t", &["emacsclient", "-t", "+41:17", "/p/a b.go"], Screen::Terminal),
            ("nano", &["nano", "+41,17", "/p/a b.go"], Screen::Terminal),
            ("micro", &["micro", "+41:17", "/p/a b.go"], Screen::Terminal),
            ("hx", &["hx", "/p/a b.go:41:17"], Screen::Terminal),
            ("zed", &["zed", "/p/a b.go:41:17"], Screen::Window),
            ("subl -n", &["subl", "-n", "/p/a b.go:41:17"], Screen::Window),
            ("code --wait", &["code", "--wait", "-g", "/p/a b.go:41:17"], Screen::Window),
            ("cursor", &["cursor", "-g", "/p/a b.go:41:17"], Screen::Window),
            ("goland", &["goland", "--line", "41", "--column", "17", "/p/a b.go"], Screen::Window),
            ("idea.sh", &["idea.sh", "--line", "41", "--column", "17", "/p/a b.go"], Screen::Window),
            ("\"/opt/my editor/ed\" -x", &["/opt/my editor/ed", "-x", "/p/a b.go"], Screen::Terminal),
        ];
        for (value, argv, screen) in cases {
            let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(run(&[("EDITOR", value)], &place(41, 17)), Ok((argv, screen)), "{value}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let argv = |value, line, column| run(&[("EDITOR", value)], &place(line, column)).unwrap().0.join(" ");
        assert_eq!(argv("vim", 0, 0), "vim /p/a b.go");
        assert_eq!(argv("nano", 41, 0), "nano +41 /p/a b.go");
        assert_eq!(argv("code", 41, 0), "code -g /p/a b.go:41");
        assert_eq!(argv("goland", 41, 0), "goland --line 41 /p/a b.go");
    }

    #[test]
    fn the_strongest_variable_wins() {
        let argv = |variables: &[(&str, &str)]| run(variables, &place(41, 17)).unwrap().0[0].clone();
        assert_eq!(argv(&[]), "vi");
        assert_eq!(argv(&[("EDITOR", "nano"), ("VISUAL", "hx")]), "hx");
        assert_eq!(argv(&[("EDITOR", "nano"), ("VISUAL", "")]), "nano");
        assert_eq!(argv(&[("EDITOR", "nano"), ("VISUAL", "hx"), ("ORCHESTRA_EDITOR", "zed")]), "zed");
    }

    #[test]
    fn templates() {
        let argv = |value| run(&[("ORCHESTRA_EDITOR", value)], &place(41, 0)).unwrap();
        let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let cases: [(&str, &[&str], Screen); 4] = [
            ("code -r -g {file}:{line}:{column}", &["code", "-r", "-g", "/p/a b.go:41:1"], Screen::Window),
            (
                "tmux split-window 'vim +{line}' {file}",
                &["tmux", "split-window", "vim +41", "/p/a b.go"],
                Screen::Terminal,
            ),
            ("ed '{file};rm {line}'", &["ed", "/p/a b.go;rm 41"], Screen::Terminal),
            ("code", &["code", "-g", "/p/a b.go:41"], Screen::Window),
        ];
        for (value, expected, screen) in cases {
            assert_eq!(argv(value), (words(expected), screen), "{value}");
        }
        let odd = Place { file: PathBuf::from("/p/{line}{file}.go"), line: 3, column: 0 };
        assert_eq!(run(&[("ORCHESTRA_EDITOR", "e {file}")], &odd).unwrap().0, ["e", "/p/{line}{file}.go"]);
    }

    #[test]
    fn a_broken_variable_is_named() {
        let refused = |value| run(&[("EDITOR", value)], &place(1, 1)).unwrap_err().to_string();
        assert_eq!(refused("vim 'x"), "`$EDITOR` names no command: a quote is opened and never closed");
        assert_eq!(refused("  "), "`$EDITOR` names no command: it is empty");
        assert_eq!(refused("''"), "`$EDITOR` names no command: it is empty");
    }

    #[test]
    fn only_code_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for path in ["p/api/main.go", "mod/x@v1/x.go", "go/src/fmt/print.go", "secret"] {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("secret"), root.join("p/link.go")).unwrap();
        std::os::unix::fs::symlink(root.join("p"), root.join("linked")).unwrap();
        let roots =
            Roots { project: root.join("linked"), modules: Some(root.join("mod")), goroot: Some(root.join("go")) };
        let of = |file: &str| {
            let place = Place { file: PathBuf::from(file), line: 3, column: 0 };
            find(&place, &roots).map(|found| found.file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        };
        let whole = |path: &str| root.join(path).to_str().unwrap().to_owned();
        assert_eq!(of("api/main.go"), Ok("p/api/main.go".to_owned()));
        assert_eq!(of(&whole("p/api/main.go")), Ok("p/api/main.go".to_owned()));
        assert_eq!(of(&whole("mod/x@v1/x.go")), Ok("mod/x@v1/x.go".to_owned()));
        assert_eq!(of(&whole("go/src/fmt/print.go")), Ok("go/src/fmt/print.go".to_owned()));
        for missing in ["api/none.go", "api", "-c"] {
            assert_eq!(of(missing), Err(Refused::Missing(PathBuf::from(missing))));
        }
        for outside in [whole("secret"), "../secret".to_owned(), "link.go".to_owned(), "/dev/../etc/passwd".to_owned()]
        {
            assert!(matches!(of(&outside), Err(Refused::Outside(_))), "{outside}");
        }
    }

    proptest! {
        #[test]
        fn the_file_is_always_a_word_of_its_own(value in "[a-z'\" {}\\\\]{0,20}", name in "[a-z{}'\" ;$-]{1,12}") {
            let file = PathBuf::from(format!("/p/{name}"));
            let shown = file.to_str().unwrap().to_owned();
            for variable in VARIABLES {
                if let Ok((argv, _)) = run(&[(variable, &value)], &Place { file: file.clone(), line: 7, column: 0 }) {
                    prop_assert!(argv.iter().any(|word| word.contains(&shown)), "{:?}", argv);
                }
            }
        }
    }
}
