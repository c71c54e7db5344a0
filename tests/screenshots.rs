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
    use crate::harness::{Browser, PASSWORD, Sekisho, tools};

    const DESKTOP: (u32, u32) = (1200, 760);
    const PHONE: (u32, u32) = (390, 780);

    #[tokio::test(flavor = "multi_thread")]
    async fn of_every_page_for_the_readme() {
        for (language, dark) in [("en", false), ("ja", true)] {
            for (device, size, scale) in [("desktop", DESKTOP, 1.0), ("phone", PHONE, 2.0)] {
                let setup = Setup { language, dark, size, scale, ..Setup::default() };
                take(&format!("{device}-{language}-{}", if dark { "dark" } else { "light" }), setup).await;
            }
        }
    }

    async fn take(kind: &str, setup: Setup) {
        let tool = tools::adminer();
        let gate = Sekisho::builder()
            .set("portal.title", "Shop admin")
            .set("second_factor.totp.issuer", "Shop admin")
            .set("portal.languages", "[en, ja]")
            .upstream(&tool.url())
            .user("hanako", &["--name", "山田 花子"])
            .start();
        let browser = Browser::with(setup).await;
        browser.open(&gate.url("/")).await;
        browser.arrive("/.sekisho/login").await;
        picture(&browser, "login", kind).await;
        give_password(&browser, "Wrong-horse-8").await;
        browser.find_soon("#alert").await;
        picture(&browser, "login-refused", kind).await;
        give_password(&browser, PASSWORD).await;
        browser.find_soon("#key").await;
        let key = browser.text_of("#key").await;
        picture(&browser, "enrol", kind).await;
        give_code(&browser, &gate.code(&key)).await;
        browser.leave("/.sekisho/").await;
        picture(&browser, "tool", kind).await;
        browser.open(&gate.url("/.sekisho/logout")).await;
        picture(&browser, "logout", kind).await;
        browser.click("main form button[type=submit]").await;
        browser.arrive("/.sekisho/login").await;
        give_password(&browser, PASSWORD).await;
        browser.find_soon("#remember").await;
        browser.fill("#code", "123456").await;
        picture(&browser, "second-factor", kind).await;
    }

    async fn give_password(browser: &Browser, password: &str) {
        browser.fill("#login", "hanako").await;
        browser.fill("#password", password).await;
        browser.click("main form button[type=submit]").await;
    }

    async fn give_code(browser: &Browser, code: &str) {
        browser.fill("#code", code).await;
        browser.click("main form button[type=submit]").await;
    }

    async fn picture(browser: &Browser, name: &str, kind: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
        std::fs::create_dir_all(&folder).unwrap();
        let small = Picture::decode(&browser.screenshot().await.unwrap()).encode_small();
        std::fs::write(folder.join(format!("{name}-{kind}.png")), small).unwrap();
    }
}
