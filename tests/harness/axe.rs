//! What axe-core, Deque's checker, finds on the page that a browser shows; and what it cannot see: whether the page scrolls
//! sideways, and where the keyboard's focus is.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use fantoccini::Locator;
use serde_json::{Value, json};

use super::Browser;

/// The rules of WCAG 2.2, levels A and AA.
const TAGS: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/// The narrowest page without sideways scrolling (WCAG 1.4.10).
const NARROW: (u32, u32) = (320, 640);

/// What is tried on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Light,
    Dark,
    /// In light, at 320 pixels: the layout of a phone.
    Narrow,
}

impl Browser {
    /// What is wrong with the page as it stands, one line each.
    pub async fn faults(&self, looks: &[Look]) -> Vec<String> {
        let mut faults = Vec::new();
        for look in looks {
            let size = if *look == Look::Narrow { NARROW } else { (1280, 800) };
            self.look(size, *look == Look::Dark).await;
            let found = self.axe().await;
            faults.extend(found.into_iter().map(|fault| format!("{look:?}: {fault}")));
            if *look == Look::Narrow {
                faults.extend(self.sideways().await);
            }
        }
        faults
    }

    /// Another size and scheme; without motion, so that no colour is caught on its way to another.
    async fn look(&self, (width, height): (u32, u32), dark: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// WebDriver's scripts come by the debugger, which the page's content policy does not bind; so the page is the real one.
    async fn axe(&self) -> Vec<String> {
        // A page whose checks did not run has no violation either, so that they are counted.
        let script = format!(
            "{}; return window.axe.run(document, {{runOnly: {{type: 'tag', values: arguments[0]}}, preload: false}})\
             .then(r => ({{passes: r.passes.length, violations: r.violations.map(v => ({{id: v.id, help: v.help, \
             nodes: v.nodes.map(n => n.target.join(' ') + ' | ' + n.html.slice(0, 160) + ' | ' + \
             n.any.concat(n.all).map(c => c.message).join('; '))}}))}}));",
            script()
        );
        let found = self.execute(&script, vec![json!(TAGS)]).await.expect("axe runs");
        assert!(found["passes"].as_u64().is_some_and(|passes| passes >= 5), "axe judged nothing: {found}");
        let violations = found["violations"].as_array().expect("a list").iter();
        violations.flat_map(lines).collect()
    }

    async fn sideways(&self) -> Option<String> {
        let script = "const limit = document.documentElement.clientWidth; \
            const wide = [...document.body.querySelectorAll('*')] \
                .filter(e => e.getBoundingClientRect().right > limit + 1 && !e.closest('.table-wrap')) \
                .map(e => e.outerHTML.slice(0, 100)); \
            return [document.documentElement.scrollWidth, limit, wide.slice(0, 3)];";
        let found = self.execute(script, Vec::new()).await.expect("the page can be measured");
        let (width, limit) = (found[0].as_u64().unwrap(), found[1].as_u64().unwrap());
        (width > limit).then(|| format!("scrolls sideways: {width} in {limit} pixels, by {}", found[2]))
    }

    /// Goes on by the Tab key until this element has the focus; every stop on the way must be seen to have it.
    pub async fn tab_to(&self, css: &str) {
        for _ in 0..80 {
            self.press("\u{E004}").await;
            let script = "const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect(); \
                return [e.matches(arguments[0]), e === document.body || (s.outlineStyle !== 'none' \
                && parseFloat(s.outlineWidth) >= 2 && b.width > 0 && b.bottom > 0 && b.top < innerHeight), \
                e.outerHTML.slice(0, 120)];";
            let found = self.execute(script, vec![json!(css)]).await.expect("the page has a focus");
            assert_eq!(found[1], true, "nobody sees the focus on {} of {}", found[2], self.address().await);
            if found[0] == true {
                return;
            }
        }
        panic!("the Tab key never comes to `{css}` on {}", self.describe().await);
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let focused = match self.active_element().await {
            Ok(focused) => focused,
            Err(_) => self.find(Locator::Css("body")).await.unwrap(),
        };
        focused.send_keys(keys).await.expect("keys can be pressed");
    }
}

fn lines(violation: &Value) -> Vec<String> {
    let nodes = violation["nodes"].as_array().expect("a list").iter();
    nodes
        .map(|node| {
            let [rule, help, node] =
                [&violation["id"], &violation["help"], node].map(|v| v.as_str().unwrap_or_default());
            format!("{rule}: {help}: {node}")
        })
        .collect()
}

/// axe-core's own script.
fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe/prepare");
        let output = Command::new(prepare).output().expect("tests/axe/prepare can be run");
        assert!(
            output.status.success(),
            "axe-core cannot be fetched (Debian's package `python3-venv`, and PyPI): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::read_to_string(String::from_utf8(output.stdout).unwrap().trim()).expect("axe-core is where it says")
    })
}
