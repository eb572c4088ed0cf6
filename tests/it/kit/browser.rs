//! A browser as a person has one: headless Chromium, driven over WebDriver. Its questions wait until there is an
//! answer, and its console is read at the end: a page that complains there fails its test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::wait::wait_for;

/// What chromedriver says when it listens.
const LISTENS: &str = "was started successfully on port ";

/// How often a driver is started before that counts as a fault.
const STARTS: usize = 10;

/// One window. Everything ends when it is dropped.
pub struct Browser {
    client: Option<Client>,
    driver: Child,
    folder: TempDir,
    runtime: Runtime,
    /// `http://127.0.0.1:1234`
    site: String,
}

/// How a window is.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Screen {
    pub const WIDE: Self = Self { width: 1440, height: 900, dark: false };
    pub const NARROW: Self = Self { width: 390, height: 844, dark: false };

    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

impl Browser {
    /// A new window, of a site at `http://host:port`.
    pub fn open(site: &str, screen: Screen) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (driver, port) = start_driver();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--lang=en-GB",
            "--enable-logging",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--user-data-dir={}", folder.path().join("profile").display()));
        arguments.push(format!("--log-file={}", folder.path().join("console").display()));
        arguments.push(format!("--window-size={},{}", screen.width, screen.height));
        if screen.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        // A window of Chromium is at least 500 pixels wide: a telephone is a metric of the device.
        let metrics = json!({ "width": screen.width, "height": screen.height, "pixelRatio": 1.0, "touch": false });
        let mut options = json!({ "args": arguments });
        if screen.width < 500 {
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written") };
        let connected = runtime.block_on(
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{port}")),
        );
        let client = Some(connected.unwrap_or_else(|why| panic!("Chromium does not start: {why}")));
        Self { client, driver, folder, runtime, site: site.to_owned() }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("the window is open until it is dropped")
    }

    /// Goes to a path of the site.
    #[track_caller]
    pub fn go(&self, path: &str) {
        let url = format!("{}{path}", self.site);
        self.runtime.block_on(self.client().goto(&url)).unwrap_or_else(|why| panic!("{url}: {why}"));
    }

    /// Where it is now: path and query.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client().current_url()).expect("a window is somewhere");
        url.as_str().strip_prefix(&self.site).unwrap_or(url.as_str()).to_owned()
    }

    #[track_caller]
    pub fn wait_path(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        wait_for(what, || Some(self.path()).filter(|path| is(path)))
    }

    fn find(&self, css: &str) -> Option<Element> {
        self.runtime.block_on(self.client().find(Locator::Css(css))).ok()
    }

    /// Whether there is such an element now.
    pub fn has(&self, css: &str) -> bool {
        self.find(css).is_some()
    }

    #[track_caller]
    pub fn wait_has(&self, css: &str) {
        wait_for(&format!("the page has {css}"), || self.has(css).then_some(()));
    }

    /// Clicks as soon as it can be clicked.
    #[track_caller]
    pub fn click(&self, css: &str) {
        wait_for(&format!("{css} can be clicked"), || {
            let element = self.find(css)?;
            self.runtime.block_on(element.click()).ok()
        });
    }

    /// The text that is seen; `None` where there is no such element.
    pub fn text(&self, css: &str) -> Option<String> {
        let element = self.find(css)?;
        self.runtime.block_on(element.text()).ok()
    }

    #[track_caller]
    pub fn wait_text(&self, css: &str, words: &str) {
        wait_for(&format!("{css} says `{words}`"), || self.text(css).filter(|text| text.contains(words)));
    }

    /// Types into an element, or into the page (`body`). Keys of fantoccini are letters too.
    #[track_caller]
    pub fn keys(&self, css: &str, keys: &str) {
        wait_for(&format!("{css} takes keys"), || {
            let element = self.find(css)?;
            self.runtime.block_on(element.send_keys(keys)).ok()
        });
    }

    /// Types where the focus is.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let element = self.runtime.block_on(self.client().active_element()).expect("something has the focus");
        self.runtime.block_on(element.send_keys(keys)).unwrap_or_else(|why| panic!("{keys:?}: {why}"));
    }

    /// What a script returns in the page.
    #[track_caller]
    pub fn script(&self, script: &str) -> Value {
        let done = self.runtime.block_on(self.client().execute(script, Vec::new()));
        done.unwrap_or_else(|why| panic!("{script}: {why}"))
    }

    /// What the pages so far said in the console: errors of scripts, what the policy stopped, what was not found.
    pub fn console(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.console_file()).unwrap_or_default();
        log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect()
    }

    fn console_file(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    /// Nothing complained.
    #[track_caller]
    pub fn assert_silent(&self) {
        assert!(self.console_file().exists(), "the console is written to a file");
        let said = self.console();
        assert!(said.is_empty(), "the console says:\n{}", said.join("\n"));
    }
}

/// A driver on a port of its own. It takes a free port of IPv4 and then the same one of IPv6, where somebody else may
/// have it: then it leaves, and another one is started.
fn start_driver() -> (Child, u16) {
    let started = std::iter::repeat_with(try_driver).take(STARTS).flatten().next();
    started.expect("chromedriver says on which port it listens")
}

fn try_driver() -> Option<(Child, u16)> {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut driver = command.spawn().unwrap_or_else(|why| {
        panic!("these tests need Chromium (Debian's packages chromium and chromium-driver): chromedriver: {why}")
    });
    let output = driver.stdout.take().expect("its output is piped");
    let port = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once(LISTENS)?.1.trim_end_matches('.').parse().ok());
    if port.is_none() {
        driver.wait().expect("a driver without output has ended");
    }
    Some((driver, port?))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let file = std::env::temp_dir().join(format!("updraft-page-{}.png", std::process::id()));
            if let Some(client) = &self.client
                && let Ok(picture) = self.runtime.block_on(client.screenshot())
                && std::fs::write(&file, picture).is_ok()
            {
                eprintln!("--- {} showed {}\n{}", self.path(), file.display(), self.console().join("\n"));
            }
        }
        if let Some(client) = self.client.take() {
            // An error means that it is gone already.
            let close = async { tokio::time::timeout(Duration::from_secs(5), client.close()).await };
            let _ = self.runtime.block_on(close);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
