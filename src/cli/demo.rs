//! `sekisho demo`: starts it, says how to get in, shows codes, and leaves nothing behind.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};
use std::net::SocketAddr;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthStr;

use super::serve::{StopSignals, log_to_stderr};
use super::{Failure, output};
use crate::config::LogFormat;
use crate::demo::accounts::{SAMPLES, Shows};
use crate::demo::{Demo, DemoError, Language};
use crate::server::StartError;

#[derive(Debug, Args)]
pub struct DemoCommand {
    /// Where to listen: an address of this machine alone, and a port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The language of the terminal, and of browsers that ask for neither [default: by the locale]
    #[arg(long, value_enum, hide_possible_values = false)]
    lang: Option<Language>,
}

pub fn run(command: &DemoCommand) -> Result<(), Failure> {
    let language = command.lang.unwrap_or_else(|| by_locale(|name| std::env::var(name).ok()));
    log_to_stderr(LogFormat::Text, "warn");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("cannot start", &error))?;
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let mut hangup =
            signal(SignalKind::hangup()).map_err(|error| Failure::of("cannot listen for signals", &error))?;
        let started = tokio::select! {
            started = Demo::start(command.listen, language) => started,
            // What was begun is dropped, the folder with it.
            () = stop.next() => return Ok(()),
        };
        let demo = started.map_err(|error| not_started(&error))?;
        output::print(&welcome(&demo, language))?;
        let mut enters = watch_enter();
        loop {
            tokio::select! {
                Some(()) = enters.recv() => output::print(&codes(&demo, language))?,
                () = stop.next() => break,
                _ = hangup.recv() => break,
            }
        }
        tokio::select! {
            stopped = demo.stop() => stopped.map_err(|error| Failure::of("cannot remove the demo's folder", &error))?,
            () = stop.next() => return Err(Failure::because("stopped at once by a second signal")),
        }
        output::line(match language {
            Language::En => "The demo has ended; nothing is left behind.",
            Language::Ja => "デモを終了しました。何も残っていません。",
        })
    })
}

fn not_started(error: &DemoError) -> Failure {
    let failure = Failure::from_error(error);
    let busy = match error {
        DemoError::Listen { source, .. } | DemoError::Start(StartError::Bind { source, .. }) => {
            source.kind() == std::io::ErrorKind::AddrInUse
        }
        _ => false,
    };
    match error {
        _ if busy => {
            failure.hint("something listens there already; `sekisho demo --listen 127.0.0.1:8081` takes another port")
        }
        DemoError::NotLoopback(_) => {
            failure.hint("`--listen 127.0.0.1:8080`; from another machine, use `ssh -L 8080:127.0.0.1:8080`")
        }
        _ => failure,
    }
}

/// The locale's language, in the order that POSIX gives: Japanese, or else English.
fn by_locale(variable: impl Fn(&str) -> Option<String>) -> Language {
    let locale =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|text| !text.is_empty()));
    if locale.is_some_and(|locale| locale.starts_with("ja")) { Language::Ja } else { Language::En }
}

/// Something for each line that is typed at a terminal. The thread ends with the process.
fn watch_enter() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    if std::io::stdin().is_terminal() {
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || sender.blocking_send(()).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

fn welcome(demo: &Demo, language: Language) -> String {
    let ja = language == Language::Ja;
    let pick = |japanese: &'static str, english: &'static str| if ja { japanese } else { english };
    let mut lines = vec![
        pick(
            "sekisho デモ: 店舗管理ツールの前に立つ関所",
            "sekisho demo: a login wall in front of a shop's admin tool",
        )
        .to_owned(),
        String::new(),
        format!("{}  http://{}/", pad(pick("開く", "Open"), 8), demo.address),
        format!(
            "{}  http://{}/  {}",
            pad(pick("コード", "Codes"), 8),
            demo.phone_address,
            pick("(認証アプリと受信トレイの代わり)", "(stands for your authenticator app and mailbox)")
        ),
        String::new(),
        format!("{}  {}", pad(pick("ログイン", "Login"), 8), pick("パスワード", "Password")),
    ];
    for sample in SAMPLES {
        let shows = match sample.shows {
            Shows::Administrator => pick("管理者", "administrator"),
            Shows::FirstLogin => {
                pick("初回ログイン: QR コードで2段階認証を設定", "first login: sets up the second factor by QR code")
            }
            Shows::JapaneseName => pick("閲覧者 (日本語の氏名)", "viewer, with a Japanese name"),
            Shows::CodeByMail => pick(
                "担当者。コードはメールで届きます (上の「コード」のページ)",
                "manager; gets codes by mail (on the page above)",
            ),
            Shows::Forbidden => pick("「経理」は開けません (403)", "may not open “Accounting” (403)"),
        };
        lines.push(format!("{}  {}  {shows}", pad(sample.login, 8), pad(sample.password, 16)));
    }
    lines.push(String::new());
    let portal = format!("http://{}/.sekisho", demo.address);
    let rooms = [
        ("/account", pick("自分の設定", "one's own settings"), ""),
        ("/admin", pick("管理", "administration"), pick(" (alice、kenji、hanako)", " (alice, kenji, hanako)")),
    ];
    for (below, what, who) in rooms {
        lines.push(format!("{}  {what}{who}", pad(&format!("{portal}{below}"), 40)));
    }
    lines.push(String::new());
    if std::io::stdin().is_terminal() {
        lines.push(
            pick("Enter: 現在のコードを表示   Ctrl-C: 終了", "Enter: show the codes of now   Ctrl-C: end").to_owned(),
        );
    } else {
        lines.push(pick("Ctrl-C: 終了", "Ctrl-C: end").to_owned());
    }
    format!("\n{}\n{}", boxed(&lines), codes(demo, language))
}

fn codes(demo: &Demo, language: Language) -> String {
    let codes = demo.codes();
    let mut text = String::from(match language {
        Language::Ja => "現在のコード:",
        Language::En => "Codes now:",
    });
    for code in &codes {
        let _ = write!(text, "  {} {}", code.label, code.code);
    }
    let left = codes.first().map_or(0, |code| code.left);
    let _ = match language {
        Language::Ja => writeln!(text, "  (残り {left} 秒)"),
        Language::En => writeln!(text, "  ({left} s left)"),
    };
    text
}

fn boxed(lines: &[String]) -> String {
    let width = lines.iter().map(|line| line.width()).max().unwrap_or(0);
    let mut text = format!("╭{}╮\n", "─".repeat(width + 2));
    for line in lines {
        let _ = writeln!(text, "│ {} │", pad(line, width));
    }
    let _ = writeln!(text, "╰{}╯", "─".repeat(width + 2));
    text
}

/// Blanks up to `width` columns; a Japanese character takes two.
fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses_the_language() {
        let locale = |all: &'static str, lang: &'static str| {
            by_locale(move |name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert_eq!(locale("", "ja_JP.UTF-8"), Language::Ja);
        assert_eq!(locale("C", "ja_JP.UTF-8"), Language::En);
        assert_eq!(locale("", ""), Language::En);
    }

    #[test]
    fn the_box_is_straight_in_both_languages() {
        let text = boxed(&["Open".into(), "開く  http://127.0.0.1:8080/".into(), String::new()]);
        let widths: Vec<usize> = text.lines().map(UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
