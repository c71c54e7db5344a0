//! Takes the README's pictures of the real pages: `cargo test --test screenshots` writes `docs/images/*.png`. Not part of
//! the ordinary tests, as pictures change by a pixel with every browser.

#[cfg(test)]
#[allow(clippy::allow_attributes, dead_code, unused_imports, reason = "a tool box: not every tool is out at all times")]
mod harness;

#[cfg(test)]
mod pictures {
    use std::path::Path;

    use crate::harness::browser::Setup;
    use crate::harness::picture::Picture;
    use crate::harness::{Browser, Demo};

    const DESKTOP: (u32, u32) = (1100, 700);
    const WIDE: (u32, u32) = (1280, 815);
    const PHONE: (u32, u32) = (390, 780);

    #[tokio::test(flavor = "multi_thread")]
    async fn on_a_desktop_in_english_by_day() {
        let setup = Setup { language: "en", size: DESKTOP, ..Setup::default() };
        walk(setup, &["login", "enrol", "second-factor", "tool"], "desktop-en").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_rooms_of_administration() {
        let setup = Setup { language: "en", size: WIDE, ..Setup::default() };
        walk(setup, &["overview", "users"], "desktop-en").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_a_phone_in_japanese_by_night() {
        let setup = Setup { language: "ja", dark: true, size: PHONE, scale: 2.0, ..Setup::default() };
        walk(setup, &["login", "second-factor", "tool", "account"], "phone-ja-dark").await;
    }

    /// Goes through the demo and keeps the pictures that are wanted.
    async fn walk(setup: Setup, wanted: &[&str], kind: &str) {
        let mut demo = Demo::start(setup.language);
        let (alice, bob) = (demo.password("alice"), demo.password("bob"));
        let browser = Browser::with(setup).await;
        let picture = async |name: &str| {
            if wanted.contains(&name) {
                let small = Picture::decode(&browser.screenshot().await.unwrap()).encode_small();
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join(format!("{name}-{kind}.png")), small).unwrap();
            }
        };
        browser.open(&demo.url).await;
        browser.find_soon("#password").await;
        picture("login").await;
        give_password(&browser, "bob", &bob).await;
        browser.find_soon("#key").await;
        picture("enrol").await;

        browser.open(&demo.url).await;
        give_password(&browser, "alice", &alice).await;
        browser.find_soon("#remember").await;
        browser.fill("#code", &demo.code("alice")).await;
        picture("second-factor").await;
        browser.click("main form button[type=submit]").await;
        browser.leave("/.sekisho/").await;
        browser.find_soon("table td").await;
        picture("tool").await;
        for (name, path) in [("account", "/account"), ("overview", "/admin"), ("users", "/admin/users")] {
            browser.open(&format!("{}/.sekisho{path}", demo.url)).await;
            browser.find_soon("#content").await;
            picture(name).await;
        }
    }

    async fn give_password(browser: &Browser, login: &str, password: &str) {
        browser.fill("#login", login).await;
        browser.fill("#password", password).await;
        browser.click("main form button[type=submit]").await;
    }
}
