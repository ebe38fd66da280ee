//! The one list of everything a key, the palette or a footer can do. Keymap, footer, help, palette and manual page are made from it.

use super::keys::Key;

/// Where an action's keys mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In every pane.
    Everywhere,
    /// In every pane, about places within it.
    Move,
    /// Services and vendors.
    Services,
    /// The log.
    Log,
    /// Problems and tests.
    Problems,
    /// Everything about one service.
    Detail,
    /// Who depends on whom.
    Graph,
    /// What happened.
    Events,
}

impl Scope {
    /// All of them, as help shows them.
    pub const ALL: [Scope; 8] = [
        Scope::Services,
        Scope::Log,
        Scope::Problems,
        Scope::Events,
        Scope::Detail,
        Scope::Graph,
        Scope::Move,
        Scope::Everywhere,
    ];

    /// As `keys.toml` and the help name it.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Everywhere => "everywhere",
            Scope::Move => "move",
            Scope::Services => "services",
            Scope::Log => "log",
            Scope::Problems => "problems",
            Scope::Detail => "detail",
            Scope::Graph => "graph",
            Scope::Events => "events",
        }
    }
}

macro_rules! actions {
    ($($scope:ident { $($name:ident $word:literal [$($key:literal),*] $help:literal;)* })*) => {
        /// Something that can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[doc = $help] $name,)*)*
        }

        /// Every action, in the order of the help.
        pub const ACTIONS: &[Entry] = &[
            $($(Entry { action: Action::$name, name: $word, scope: Scope::$scope, keys: &[$($key),*], help: $help },)*)*
        ];
    };
}

/// What there is to say about an action.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub action: Action,
    /// As the palette and `keys.toml` name it.
    pub name: &'static str,
    /// Where its keys mean it.
    pub scope: Scope,
    /// Its keys unless `keys.toml` says others.
    pub keys: &'static [&'static str],
    /// A few words.
    pub help: &'static str,
}

impl Entry {
    /// The keys it has unless somebody changed them.
    pub fn default_keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().filter_map(|key| Key::parse(key))
    }
}

actions! {
    Services {
        Restart "restart" ["r"] "build, then replace the copies";
        Stop "stop" ["s"] "stop";
        Start "start" ["S"] "start, with what it depends on";
        Build "build" ["b"] "build without starting";
        Test "test" ["t"] "run its tests";
        Kill "kill" ["K"] "SIGKILL, after a question";
        ScaleUp "scale-up" ["+"] "one copy more";
        ScaleDown "scale-down" ["-"] "one copy less";
        Watch "watch" ["W"] "pause or resume building at each save";
        Detail "detail" ["enter"] "everything about it";
        OnlyLogs "only-logs" ["l"] "its log only, or all again";
        OpenUrl "open-url" ["O"] "open its port in the browser";
        Mark "mark" ["space"] "mark; verbs act on what is marked";
        MarkAll "mark-all" ["A"] "mark all, or none";
        Fold "fold" ["o"] "show or hide the copies of a service";
        Sort "sort" ["I"] "sort by the next column";
        FilterList "filter-list" ["/"] "show only names that match";
    }
    Log {
        Search "search" ["/"] "search, by regex";
        SearchNext "next" ["n"] "next hit";
        SearchPrevious "previous" ["N"] "previous hit";
        Filter "filter" ["&"] "show only lines that match; !RE hides them";
        Level "level" ["L"] "least level that is shown";
        Sources "sources" ["@"] "which services are shown";
        NextError "next-error" ["e"] "next error";
        PreviousError "previous-error" ["E"] "previous error";
        Trace "trace" ["*"] "follow the trace id of this line over all services";
        Follow "follow" ["F"] "stay at the newest line";
        Wrap "wrap" ["w"] "wrap long lines";
        Time "time" ["t"] "next form of the time column: seconds, ms, delta, date, off";
        Pretty "pretty" ["p"] "structured lines folded to one line, or as written";
        Bytes "bytes" ["P"] "every byte spelled out, or lines as before";
        Traces "traces" ["f"] "stack traces folded, or as written";
        Open "open" ["enter"] "open the line: fields, stack, frames";
        SetMark "set-mark" ["m"] "mark this line with a letter";
        GoMark "go-mark" ["'"] "go to a marked line";
        NextMark "next-mark" ["u"] "go to the next marked line";
        Marks "marks" ["U"] "all marked lines";
        NextRun "next-run" ["]"] "to the next run of this line's service";
        PreviousRun "previous-run" ["["] "to the beginning of this run, then to the run before";
        Clear "clear" ["c"] "hide what is there, or show it again; nothing is lost";
        Select "select" ["v"] "select lines";
        Copy "copy" ["y"] "copy the line, or what is selected";
        CopyAll "copy-visible" ["Y"] "copy all lines on the screen";
        EditLine "edit-line" ["o"] "open the place it names in the editor";
        Export "export" [] "write the lines that are shown to a file";
    }
    Problems {
        OpenProblem "open-problem" ["enter"] "show it alone, fold its group, or open its place";
        EditProblem "edit" ["o"] "open the place in the editor";
        NextProblem "next-problem" ["n"] "next problem";
        PreviousProblem "previous-problem" ["N"] "previous problem";
        Failing "failing" ["f"] "only what fails, or everything";
        Raw "raw" ["R"] "what was printed, or the place in the file";
        FoldGroup "fold-group" ["space"] "show or hide what belongs to it";
        NextKind "next-kind" ["l", "right"] "the next kind of problem";
        PreviousKind "previous-kind" ["h", "left"] "the kind before";
        TestAgain "test-again" ["t"] "run this test again, or those of its service";
        BuildAgain "build-again" ["b"] "build this service again";
        CopyProblem "copy-problem" ["y"] "copy it as text";
        Dismiss "dismiss" ["x"] "hide until it happens again";
    }
    Events {
        ShowEvent "show-event" ["enter"] "the log at that moment";
    }
    Detail {
        NextPart "next-part" ["]"] "next part";
        PreviousPart "previous-part" ["["] "previous part";
        GoProblem "go-problem" ["enter"] "go to what its build or its tests complain about";
        CopyShown "copy-shown" ["y"] "copy what is shown";
        OpenConfig "open-config" ["o"] "open its file in the editor";
    }
    Graph {
        NodeLeft "node-left" ["h", "left"] "to what it needs";
        NodeRight "node-right" ["l", "right"] "to what needs it";
        GraphForm "graph-form" ["g"] "layers, or a tree";
        LightNeeds "light-needs" ["d"] "show all it needs, or everything again";
        LightDependents "light-dependents" ["D"] "show all that needs it, or everything again";
    }
    Move {
        Down "down" ["j", "down"] "down";
        Up "up" ["k", "up"] "up";
        HalfDown "half-down" ["ctrl-d"] "half a page down";
        HalfUp "half-up" ["ctrl-u"] "half a page up";
        PageDown "page-down" ["ctrl-f", "pgdn", "space"] "a page down";
        PageUp "page-up" ["ctrl-b", "pgup"] "a page up";
        Top "top" ["g", "home"] "to the beginning";
        Bottom "bottom" ["G", "end"] "to the end";
        Left "left" ["h", "left"] "sideways";
        Right "right" ["l", "right"] "sideways";
        LineStart "line-start" ["0"] "to the beginning of the lines";
        LineEnd "line-end" ["$"] "to the end of the lines";
    }
    Everywhere {
        NextPane "next-pane" ["tab"] "next pane";
        PreviousPane "previous-pane" ["s-tab"] "previous pane";
        Pane1 "services" ["1"] "services";
        Pane2 "vendors" ["2"] "vendors";
        Pane3 "problems" ["3"] "problems";
        Pane4 "tests" ["4"] "tests";
        Pane5 "logs" ["5"] "logs";
        Pane6 "events" ["6"] "events";
        Zoom "zoom" ["z"] "this pane alone, or all";
        Graph "graph" ["D"] "who depends on whom, and who waits";
        Run "run-command" ["!"] "run a command of orchestra.yml";
        Palette "palette" [":"] "type a command";
        Help "help" ["?"] "all keys";
        Theme "theme" ["T", "ctrl-t"] "next theme";
        Mouse "mouse" ["M"] "give the mouse to the terminal, or take it";
        Redraw "redraw" ["ctrl-l"] "draw everything anew";
        Suspend "suspend" ["ctrl-z"] "suspend the dashboard; the fleet runs on";
        Close "close" ["esc"] "close, go back, clear";
        Quit "quit" ["q", "ctrl-c"] "close, or leave; the fleet runs on";
    }
}

impl Action {
    /// What there is to say about it.
    pub fn entry(self) -> &'static Entry {
        // The list and the enum are made together, in one order.
        &ACTIONS[self as usize]
    }

    /// By the name that the palette and `keys.toml` know.
    pub fn named(name: &str) -> Option<Action> {
        ACTIONS.iter().find(|entry| entry.name == name).map(|entry| entry.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_whole() {
        let mut names = BTreeSet::new();
        for (at, entry) in ACTIONS.iter().enumerate() {
            assert_eq!(entry.action as usize, at);
            assert!(names.insert(entry.name), "{} twice", entry.name);
            assert_eq!(entry.default_keys().count(), entry.keys.len(), "{}", entry.name);
            assert_eq!(Action::named(entry.name), Some(entry.action));
        }
    }
}
