//! Real tools with a login form of their own, in a real browser (F37): whoever has logged in at sekisho works there as if there were no
//! wall, sees no second login, and comes to the same.

use serde_json::json;

use crate::harness::{Browser, PASSWORD, Sekisho, tools};

const SECRET: &str = "Tool-secret-91";

fn served(route: &str, url: &str) -> Sekisho {
    let builder = Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &[]);
    let gate = builder.route(route, url).start();
    gate.secrets().add(SECRET);
    let set = ["tool-login", "set", "alice", "--route", "tool", "--username", "alice", "--password-stdin"];
    assert!(gate.cli_with_input(&set, SECRET).status.success());
    gate
}

/// Opens a page of the tool's through the wall, and logs in to what asks: sekisho.
async fn log_in(browser: &Browser, gate: &Sekisho, path: &str) {
    browser.open(&gate.url(path)).await;
    browser.arrive("/.sekisho/login").await;
    browser.fill("#login", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser.leave("/.sekisho/").await;
}

async fn saves_group(browser: &Browser, address: &str, name: &str) {
    browser.open(address).await;
    browser.fill("#id_name", name).await;
    browser.click("input[name=_save]").await;
    browser.see("successfully").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_djangos_admin_pages_without_seeing_its_login() {
    let tool = tools::django_admin(SECRET);
    let route = "{name: tool, upstream: UPSTREAM, upstream_auth: {form: {page: /admin/login/, per_account: true, \
                 success: {cookie: sessionid, redirect_to: /admin/}}}}";
    let gate = served(route, &tool.url());
    let browser = Browser::start().await;
    log_in(&browser, &gate, "/admin/").await;
    browser.see("Site administration").await;
    assert!(browser.cookie("sessionid").await.is_none(), "no browser has the tool's session");

    // Its typical work, with Django's own token against cross-site requests.
    saves_group(&browser, &gate.url("/admin/auth/group/add/"), "warehouse").await;
    saves_group(&browser, &gate.url("/admin/auth/group/add/"), "\u{50b5}\u{6a29}").await;
    saves_group(&browser, &gate.url("/admin/auth/group/add/"), "short-lived").await;
    saves_group(&browser, &gate.url("/admin/auth/group/1/change/"), "warehouse and shop").await;
    browser.open(&gate.url("/admin/auth/group/3/delete/")).await;
    browser.click("#content form input[type=submit]").await;
    browser.see("successfully").await;

    // The tool ends everybody's session: the next page is there as if nothing had been.
    let mut past = crate::harness::Conn::plain(tool.address());
    past.send("GET /end-all-sessions HTTP/1.1\r\nHost: tool\r\nConnection: close\r\n\r\n");
    assert_eq!(past.response().text(), "1");
    browser.open(&gate.url("/admin/auth/group/")).await;
    let through_the_wall = browser.text_of("#result_list").await;
    assert!(through_the_wall.contains("warehouse and shop") && !through_the_wall.contains("short-lived"));
    assert!(browser.address().await.ends_with("/admin/auth/group/"));
    let logins = tool.lines().iter().filter(|line| line.contains("\"POST /admin/login/")).count();
    assert_eq!(logins, 2, "{:#?}", tool.lines());

    browser.open(&format!("{}/admin/login/?next=/admin/auth/group/", tool.url())).await;
    browser.fill("#id_username", "alice").await;
    browser.fill("#id_password", SECRET).await;
    browser.click("input[type=submit]").await;
    assert_eq!(browser.text_of("#result_list").await, through_the_wall);
}

/// A shop's orders, and an account that may change them.
fn shop() -> tools::Database {
    tools::mariadb(&format!(
        "CREATE DATABASE shop CHARACTER SET utf8mb4;\n\
         CREATE TABLE shop.orders (id INT PRIMARY KEY, article VARCHAR(80) NOT NULL, pieces INT NOT NULL);\n\
         INSERT INTO shop.orders VALUES (1, 'teapot', 3), (2, '\u{6025}\u{9808}', 12);\n\
         CREATE USER 'alice'@'localhost' IDENTIFIED BY '{SECRET}';\n\
         GRANT ALL ON shop.* TO 'alice'@'localhost';"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_phpmyadmin_without_seeing_its_login() {
    let database = shop();
    let tool = tools::phpmyadmin(&database);
    let route = "{name: tool, upstream: UPSTREAM, upstream_auth: {form: {page: /, per_account: true, \
                 username_field: pma_username, password_field: pma_password, success: {cookie: pmaAuth-1}}}}";
    let gate = served(route, &tool.url());
    let table = "/index.php?route=/sql&db=shop&table=orders&pos=0";
    let rows = "table.table_results tbody";
    let browser = Browser::start().await;
    log_in(&browser, &gate, table).await;
    browser.see("teapot").await;
    assert!(browser.cookie("pmaAuth-1").await.is_none(), "no browser has the tool's session");

    // A query, by its own editor and with its own token against cross-site requests.
    browser.open(&gate.url("/index.php?route=/table/sql&db=shop&table=orders")).await;
    browser.find_soon("#queryfieldscontainer .CodeMirror").await;
    let typing = "document.querySelector('#queryfieldscontainer .CodeMirror').CodeMirror\
                  .setValue('UPDATE orders SET pieces = pieces + 4000 WHERE id = 2')";
    browser.devtools("Runtime.evaluate", json!({"expression": typing})).await;
    browser.click("#button_submit_query").await;
    browser.see("1 row affected").await;
    browser.open(&gate.url(table)).await;
    browser.see("4012").await;
    let through_the_wall = browser.text_of(rows).await;
    assert!(through_the_wall.contains("teapot") && through_the_wall.contains("\u{6025}\u{9808}"));

    browser.open(&tool.url()).await;
    browser.fill("#input_username", "alice").await;
    browser.fill("#input_password", SECRET).await;
    browser.click("#input_go").await;
    browser.see("shop").await;
    browser.open(&format!("{}{table}", tool.url())).await;
    browser.see("4012").await;
    assert_eq!(browser.text_of(rows).await, through_the_wall);
}

/// Adminer has a login of its own, which nothing here takes over: whoever has passed the wall gives it as ever.
#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_adminer_behind_the_wall_as_without_it() {
    let database = shop();
    let tool = tools::adminer_for(&database);
    let builder = Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &[]);
    let gate = builder.route("{name: tool, upstream: UPSTREAM}", &tool.url()).start();
    let browser = Browser::start().await;
    log_in(&browser, &gate, "/?username=alice").await;
    let through_the_wall = adminer(&browser, &gate.url("/"), "4012").await;
    assert!(through_the_wall.contains("4012") && through_the_wall.contains("\u{6025}\u{9808}"), "{through_the_wall}");
    // A browser of its own: ports do not part cookies.
    drop(browser);
    let browser = Browser::start().await;
    assert_eq!(adminer(&browser, &format!("{}/", tool.url()), "4012").await, through_the_wall);
}

/// Logs in to adminer, sets how many pieces the second order has, and reads all orders.
async fn adminer(browser: &Browser, address: &str, pieces: &str) -> String {
    browser.open(&format!("{address}?username=alice&db=shop")).await;
    browser.fill("input[name='auth[password]']", SECRET).await;
    browser.click("form input[type=submit]").await;
    browser.see("orders").await;
    browser.open(&format!("{address}?username=alice&db=shop&edit=orders&where%5Bid%5D=2")).await;
    browser.fill("input[name='fields[pieces]']", pieces).await;
    browser.click("input[type=submit]").await;
    browser.see("Item has been updated").await;
    browser.open(&format!("{address}?username=alice&db=shop&select=orders")).await;
    browser.text_of("#table tbody").await
}
