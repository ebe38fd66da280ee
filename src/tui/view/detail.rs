//! One service in depth: its copies, charts, why it is so, its needs, ends, build, environment and happenings.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::paint::{Line, spark};
use crate::api::wire::{Instance, Service, Why};
use crate::text;
use crate::tui::fleet::{SAMPLES, Tone};
use crate::tui::model::{Detail, Model};
use crate::tui::theme::Token;

/// Text in several styles.
type Spans = Vec<(String, Style)>;

/// Draws the screen.
pub fn draw(model: &Model, detail: &Detail, buffer: &mut Buffer, area: Rect) {
    let lines = lines(model, detail, usize::from(area.width));
    let last = lines.len().saturating_sub(usize::from(area.height));
    for (row, spans) in (0..area.height).zip(lines.into_iter().skip(detail.scroll.min(last))) {
        let mut line = Line::of(buffer, area, row);
        for (text, style) in spans {
            line.put(&text, style);
        }
    }
}

struct Page<'a> {
    model: &'a Model,
    lines: Vec<Spans>,
}

impl Page<'_> {
    fn style(&self, token: Token) -> Style {
        self.model.theme.style(token)
    }

    fn head(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
        let style = self.style(Token::Accent).add_modifier(Modifier::BOLD);
        self.lines.push(vec![(format!(" {text}"), style)]);
    }

    fn line(&mut self, text: String, token: Token) {
        let style = self.style(token);
        self.lines.push(vec![(format!("   {text}"), style)]);
    }

    fn pair(&mut self, key: &str, value: &str, token: Token) {
        let spans = vec![(format!("   {key:<24} "), self.style(Token::Dim)), (value.to_owned(), self.style(token))];
        self.lines.push(spans);
    }
}

/// Everything there is to say, line by line.
fn lines(model: &Model, detail: &Detail, width: usize) -> Vec<Spans> {
    let mut page = Page { model, lines: Vec::new() };
    let Some(service) = model.fleet.service(&detail.service) else {
        page.line(format!("there is no service `{}` any more", detail.service), Token::Warn);
        return page.lines;
    };
    page.head(&format!("{} ({}), {}, wanted {}", service.name, service.kind, service.state, service.desired));
    if let Some(why) = &detail.why {
        page.line(why.summary.clone(), Tone::of(&service.state).token());
        for reason in &why.reasons {
            page.line(reason.clone(), Token::Text);
        }
    }
    copies(&mut page, service, width);
    if let Some(why) = &detail.why {
        story(&mut page, why);
    }
    page.lines
}

fn copies(page: &mut Page<'_>, service: &Service, width: usize) {
    for instance in &service.instances {
        page.head(&instance.id);
        let trouble = instance.trouble.as_ref().map_or_else(String::new, |trouble| format!(" ({trouble})"));
        page.pair("state", &format!("{}{trouble}", instance.state), Tone::of(&instance.state).token());
        if let Some(pid) = instance.pid {
            page.pair("pid", &format!("{pid} on {} ({})", instance.node, instance.worker), Token::Text);
        }
        let ports: Vec<String> = instance.ports.iter().map(|(name, port)| format!("{name} {port}")).collect();
        page.pair("ports", &ports.join(", "), Token::Text);
        page.pair("listens on", &instance.listening.join(", "), Token::Text);
        page.pair("health, restarts", &format!("{}, {}", instance.health, instance.restarts), Token::Text);
        charts(page, instance, width);
    }
}

fn charts(page: &mut Page<'_>, instance: &Instance, width: usize) {
    let samples: Vec<_> = page.model.fleet.samples(&instance.id).collect();
    let columns = width.saturating_sub(48).clamp(10, SAMPLES);
    let ascii = page.model.ascii;
    let cpu: Vec<f64> = samples.iter().map(|sample| sample.cpu).collect();
    let memory: Vec<f64> = samples.iter().map(|sample| sample.memory as f64).collect();
    let highest = cpu.iter().copied().fold(0.0, f64::max);
    let now = instance.cpu_percent.unwrap_or_default();
    page.pair(
        "CPU, last minute",
        &format!("{} {now:.1} %, at most {highest:.1} %", spark(&cpu, columns, 100.0, ascii)),
        Token::Good,
    );
    let most = memory.iter().copied().fold(1.0, f64::max);
    let bytes = instance.memory_bytes.unwrap_or_default();
    let limit = instance.limits.as_ref().and_then(|limits| limits.memory_bytes);
    let limit = limit.map_or_else(String::new, |limit| format!(" of {}", text::size(limit)));
    page.pair(
        "memory, last minute",
        &format!("{} {}{limit}", spark(&memory, columns, most, ascii), text::size(bytes)),
        Token::Good,
    );
}

fn story(page: &mut Page<'_>, why: &Why) {
    if !why.needs.is_empty() {
        page.head("needs");
        for need in &why.needs {
            let (token, met) = if need.met { (Token::Good, "met") } else { (Token::Wait, "not met") };
            page.pair(&need.service, &format!("{}: {met}, it is {}", need.condition, need.state), token);
        }
    }
    if let Some(build) = &why.service.build {
        page.head("build");
        let token = if build.state == "failed" { Token::Bad } else { Token::Text };
        page.pair("state", &build.state, token);
        page.pair("artifact", build.id.as_deref().unwrap_or("-"), Token::Text);
        for problem in &build.problems {
            page.line(format!("{}:{}:{}: {}", problem.file, problem.line, problem.column, problem.message), Token::Bad);
        }
    }
    if !why.holders.is_empty() {
        page.head("who holds its ports");
        for holder in &why.holders {
            page.line(holder.clone(), Token::Warn);
        }
    }
    page.head("newest ends");
    for exit in &why.exits {
        let how = match (exit.exit.code, exit.exit.signal) {
            (Some(code), _) => format!(" {code}"),
            (None, Some(signal)) => format!(" {signal}"),
            (None, None) => String::new(),
        };
        page.pair(&exit.exit.at, &format!("{} {}{how}", exit.instance, exit.exit.reason), Token::Text);
    }
    page.head("happenings, newest first");
    for event in why.events.iter().rev() {
        page.pair(&event.at, &event.message, Token::Text);
    }
    page.head("environment");
    for (key, value) in &why.env {
        page.pair(key, value, Token::Text);
    }
}
