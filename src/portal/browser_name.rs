//! A browser as people know it: "Chrome, Windows". What is made of a user agent is for reading alone, since anybody can send
//! any; what is not known is not guessed at.

/// Where the name of a browser stands, most telling first: nearly all of them say that they are Safari and Chrome too.
const BROWSERS: [(&str, &str); 16] = [
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("Trident/", "Internet Explorer"),
    ("curl/", "curl"),
];

/// The same of what it runs on: a phone says what its system is like, too.
const SYSTEMS: [(&str, &str); 9] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("X11; FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
];

/// The most of an unknown one that is shown, in characters.
const UNKNOWN: usize = 40;

/// The name; empty where nothing is known.
#[must_use]
pub fn browser_name(user_agent: &str) -> String {
    let found = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (found(&BROWSERS), found(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => system.to_owned(),
        (None, None) => user_agent.chars().filter(|c| !c.is_control()).take(UNKNOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_what_people_call_them() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (user_agent, name) in [
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/131.0.0.0 Safari/537.36"),
                "Chrome, Windows",
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"),
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.1 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "Safari, iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.1 Safari/605.1.15"
                    .to_owned(),
                "Safari, macOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned(), "Firefox, Linux"),
            (
                format!("Mozilla/5.0 (Linux; Android 14; Pixel 8) {webkit} Chrome/131.0 Mobile Safari/537.36"),
                "Chrome, Android",
            ),
            (
                format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {webkit} Chrome/131.0 Safari/537.36"),
                "Chrome, ChromeOS",
            ),
            ("curl/8.10.1".to_owned(), "curl"),
            ("made-up/1.0".to_owned(), "made-up/1.0"),
            (String::new(), ""),
        ] {
            assert_eq!(browser_name(&user_agent), name, "{user_agent}");
        }
    }

    #[test]
    fn an_unknown_one_is_shown_in_part_and_without_control_characters() {
        assert_eq!(browser_name(&"x\u{7}".repeat(50)), "x".repeat(40));
    }
}
