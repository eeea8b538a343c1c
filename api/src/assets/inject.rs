//! What Jaeger's query service writes into the page of its UI.
//!
//! Pure: a page and a configuration in, a page out. The page of a stock Jaeger UI carries lines
//! that are there to be replaced; one that a version of it does not have is not looked for.
//! Whatever goes into a script is JSON whose `<` is escaped, so that it cannot end the script; a
//! configuration that is a script is the operator's own and goes in as it is.

/// What the operator wants of the UI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UiConfig {
    /// What it does by itself.
    #[default]
    Unset,
    /// A JSON object.
    Json(String),
    /// A script that defines the function `UIConfig`.
    Script(String),
}

/// A configuration file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UiConfigError {
    /// It is neither JSON nor a script, by its name.
    #[error("the name of a UI configuration ends with .json or .js")]
    Name,
    /// It is not text.
    #[error("it is not text")]
    Text,
    /// It is not a JSON object.
    #[error("it is not a JSON object: {reason}")]
    Json {
        /// Why not.
        reason: String,
    },
    /// The script lacks the function that the UI calls.
    #[error("the script does not begin with `function UIConfig()`")]
    Script,
}

impl UiConfig {
    /// Reads a file by its name and content.
    pub fn read(name: &str, content: &[u8]) -> Result<Self, UiConfigError> {
        let text = std::str::from_utf8(content).map_err(|_| UiConfigError::Text)?;
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("json") => {
                let parsed: Result<serde_json::Map<String, serde_json::Value>, _> =
                    serde_json::from_str(text);
                let object =
                    parsed.map_err(|error| UiConfigError::Json { reason: error.to_string() })?;
                let object = serde_json::to_string(&object)
                    .map_err(|error| UiConfigError::Json { reason: error.to_string() })?;
                Ok(Self::Json(object))
            }
            Some("js") if text.trim_start().starts_with("function UIConfig") => {
                Ok(Self::Script(text.trim().to_owned()))
            }
            Some("js") => Err(UiConfigError::Script),
            _ => Err(UiConfigError::Name),
        }
    }
}

/// The configuration as Skua's own page carries it: data, not script, so that its policy holds. A
/// script has no place there.
pub(super) fn meta(config: &UiConfig) -> String {
    let UiConfig::Json(object) = config else { return String::new() };
    let object = object.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!("<meta name=\"ui-config\" content=\"{object}\" />\n    ")
}

/// The line before the one that a script replaces.
const SCRIPT_MARK: &str = "// JAEGER_CONFIG_JS";

/// What the page says of the store. There is no assistant here.
const BACKEND: &str = concat!(
    r#"{"archiveStorage":true,"metricsStorage":true,"#,
    r#""searchWithoutServiceName":true,"aiAssistant":false}"#
);

/// The same in the words of older pages.
const STORAGE: &str = r#"{"archiveStorage":true,"metricsStorage":true}"#;

/// The page with everything in its place; `base` is the path before it.
pub(super) fn inject(page: &str, base: &str, config: &UiConfig) -> String {
    let version = format!(
        r#"{{"gitCommit":"","gitVersion":"skua {}","buildDate":""}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let mut page = page.replacen("<base href=\"/\"", &format!("<base href=\"{base}/\""), 1);
    for (name, default, value) in [
        ("JAEGER_VERSION", "DEFAULT_VERSION", version.as_str()),
        ("JAEGER_STORAGE_CAPABILITIES", "DEFAULT_STORAGE_CAPABILITIES", STORAGE),
        ("JAEGER_BACKEND_CAPABILITIES", "DEFAULT_BACKEND_CAPABILITIES", BACKEND),
    ] {
        page = assigned(&page, name, default, value);
    }
    match config {
        UiConfig::Unset => page,
        UiConfig::Json(object) => assigned(&page, "JAEGER_CONFIG", "DEFAULT_CONFIG", object),
        UiConfig::Script(script) => with_script(&page, script),
    }
}

fn assigned(page: &str, name: &str, default: &str, value: &str) -> String {
    let value = value.replace('<', "\\u003c");
    page.replacen(&format!("{name} = {default};"), &format!("{name} = {value};"), 1)
}

/// The line after the mark is a stand-in for the script.
fn with_script(page: &str, script: &str) -> String {
    let Some((before, after)) = page.split_once(SCRIPT_MARK) else { return page.to_owned() };
    let stand_in = after.split_inclusive('\n').take(2).map(str::len).sum::<usize>();
    let rest = after.get(stand_in..).unwrap_or_default();
    format!("{before}{SCRIPT_MARK}\n{script}\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are replaced, as the UI's build leaves them.
    const PAGE: &str = "<base href=\"/\" data-inject-target=\"BASE_URL\" />\n<script>\n\
        // JAEGER_CONFIG_JS\n// the line above may be replaced\n\
        const DEFAULT_CONFIG = null;\nconst JAEGER_CONFIG = DEFAULT_CONFIG;\n\
        const JAEGER_VERSION = DEFAULT_VERSION;\n\
        const JAEGER_STORAGE_CAPABILITIES = DEFAULT_STORAGE_CAPABILITIES;\n\
        const JAEGER_BACKEND_CAPABILITIES = DEFAULT_BACKEND_CAPABILITIES;\n</script>\n";

    #[test]
    fn a_configuration_cannot_leave_the_attribute_it_stands_in() {
        let json = UiConfig::Json(r#"{"a":"\"><script>&"}"#.to_owned());
        let content = "{&quot;a&quot;:&quot;\\&quot;>&lt;script>&amp;&quot;}";
        let expected = format!("<meta name=\"ui-config\" content=\"{content}\" />");
        assert_eq!(meta(&json).trim_end(), expected);
        assert_eq!(meta(&UiConfig::Unset), "");
        assert_eq!(meta(&UiConfig::Script("function UIConfig() {}".to_owned())), "");
    }

    #[test]
    fn the_page_says_what_it_runs_on() {
        let page = inject(PAGE, "/jaeger", &UiConfig::Unset);
        assert!(page.starts_with("<base href=\"/jaeger/\" data-inject"), "{page}");
        assert!(page.contains("JAEGER_CONFIG = DEFAULT_CONFIG;"));
        assert!(page.contains("JAEGER_VERSION = {\"gitCommit\""));
        assert!(page.contains("JAEGER_STORAGE_CAPABILITIES = {\"archiveStorage\""));
        assert!(page.contains("\"searchWithoutServiceName\":true"));
        assert!(inject(PAGE, "", &UiConfig::Unset).starts_with("<base href=\"/\" data"));
        assert_eq!(inject("anything", "", &UiConfig::Script(String::new())), "anything");
    }

    #[test]
    fn configurations_go_in() {
        let json = UiConfig::read("ui.json", b"{ \"menu\": [\"</script>\"] }").unwrap();
        let page = inject(PAGE, "", &json);
        let expected = "JAEGER_CONFIG = {\"menu\":[\"\\u003c/script>\"]};";
        assert!(page.contains(expected), "{page}");
        let script = UiConfig::read("ui.js", b"function UIConfig() {\n  return {};\n}\n").unwrap();
        let page = inject(PAGE, "", &script);
        let expected = "// JAEGER_CONFIG_JS\nfunction UIConfig() {\n  return {};\n}\nconst DEFAULT";
        assert!(page.contains(expected), "{page}");
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (name, content, error) in [
            ("ui.yaml", &b"{}"[..], UiConfigError::Name),
            ("ui.js", b"alert()", UiConfigError::Script),
            ("ui.json", b"\xff", UiConfigError::Text),
        ] {
            assert_eq!(UiConfig::read(name, content), Err(error));
        }
        assert!(matches!(UiConfig::read("a.json", b"[]"), Err(UiConfigError::Json { .. })));
    }
}
