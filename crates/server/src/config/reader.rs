//! Typed access to settings, with Apache's two ways of meeting a bad value.
//!
//! Keys of the configuration parser are strict: a bad value refuses the start with Java's words.
//! System properties are lenient, as Apache reads them: a bad number counts as not set and a boolean is
//! true only when it says so; here that is never silent. Numbers may be decimal or `0x` hexadecimal in
//! properties. Source: operations.md 1.1, 1.3, 1.6.

use std::path::PathBuf;
use std::str::FromStr;

use super::error::{ConfigError, Notice, Origin};
use super::keys::{self, Key, Kind};
use super::settings::{Setting, Settings};

/// Reads typed values and collects what to say about them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) settings: &'a Settings,
    pub(super) notices: &'a mut Vec<Notice>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, notices: &'a mut Vec<Notice>) -> Self {
        Self { settings, notices }
    }

    /// The row of a name this crate itself asks for.
    pub(super) fn key(name: &str) -> &'static Key {
        keys::all()
            .iter()
            .find(|key| key.name == name)
            .expect("the areas ask only for keys of the table; every test reads them all")
    }

    /// Checks every key of the parser for its type, in the order of the file, also those that do
    /// nothing here: Apache refuses them all.
    pub(super) fn check_types(&self) -> Result<(), ConfigError> {
        let mut set = self.settings.set_keys();
        set.retain(|(key, _, setting)| {
            is_strict(key, setting) && !key.is_family() && !key.name.starts_with("metricsProvider.")
        });
        set.sort_by_key(|(_, _, setting)| match setting.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        });
        for (key, _, setting) in set {
            let value = &setting.value;
            match key.kind {
                Kind::Int if value.parse::<i32>().is_err() => {
                    return Err(not_a_number(key, setting));
                }
                Kind::Long if value.parse::<i64>().is_err() => {
                    return Err(not_a_number(key, setting));
                }
                Kind::Bool
                    if !value.eq_ignore_ascii_case("true")
                        && !value.eq_ignore_ascii_case("false") =>
                {
                    return Err(not_a_bool(key, setting));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn setting(&self, name: &str) -> Option<&'a Setting> {
        self.settings.value(Self::key(name))
    }

    pub(super) fn i32(&mut self, name: &str) -> Result<i32, ConfigError> {
        Ok(self.number(name)?.unwrap_or_default())
    }

    pub(super) fn i64(&mut self, name: &str) -> Result<i64, ConfigError> {
        Ok(self.number(name)?.unwrap_or_default())
    }

    /// A number that may be absent and has no default.
    pub(super) fn optional_i32(&mut self, name: &str) -> Result<Option<i32>, ConfigError> {
        self.number(name)
    }

    pub(super) fn f64(&mut self, name: &str) -> Result<f64, ConfigError> {
        let number: Option<f64> = self.number(name)?;
        Ok(number.filter(|number| number.is_finite()).unwrap_or_default())
    }

    fn number<T: Number>(&mut self, name: &str) -> Result<Option<T>, ConfigError> {
        let key = Self::key(name);
        let default = T::java(key.default);
        let Some(setting) = self.settings.value(key) else { return Ok(default) };
        if is_strict(key, setting) {
            let number = T::from_str(&setting.value).ok();
            return number.map(Some).ok_or_else(|| not_a_number(key, setting));
        }
        let number = T::java(&setting.value);
        if number.is_none() {
            self.defaulted(key, setting, "is not a number");
        }
        Ok(number.or(default))
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<bool, ConfigError> {
        let key = Self::key(name);
        let Some(setting) = self.settings.value(key) else { return Ok(key.default == "true") };
        if setting.value.eq_ignore_ascii_case("true") {
            return Ok(true);
        }
        if !setting.value.eq_ignore_ascii_case("false") {
            if is_strict(key, setting) {
                return Err(not_a_bool(key, setting));
            }
            self.notices.push(Notice::warn(format!(
                "{}: {}={} is neither true nor false and counts as false, as in Apache",
                setting.origin, key.name, setting.value
            )));
        }
        Ok(false)
    }

    /// `yes`/`no`; another word counts as the default, as in Apache.
    pub(super) fn yes_no(&mut self, name: &str) -> bool {
        let key = Self::key(name);
        let default = key.default == "yes";
        let Some(setting) = self.settings.value(key) else { return default };
        match setting.value.as_str() {
            "yes" => true,
            "no" => false,
            _ => {
                self.defaulted(key, setting, "is neither yes nor no");
                default
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> String {
        let key = Self::key(name);
        self.settings.value(key).map_or(key.default, |setting| &setting.value).to_owned()
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<String> {
        self.setting(name).map(|setting| setting.value.clone()).filter(|text| !text.is_empty())
    }

    /// A path, with Apache's remark when it is relative.
    pub(super) fn optional_path(&mut self, name: &str) -> Option<PathBuf> {
        let setting = self.setting(name).filter(|setting| !setting.value.is_empty())?;
        let path = PathBuf::from(&setting.value);
        let sure = setting.value.starts_with("./") || setting.value.starts_with("../");
        if path.is_relative() && !sure && setting.origin != Origin::Argument {
            self.notices.push(Notice::warn(format!(
                "{}: {} is relative. Prepend ./ to indicate that you're sure!",
                setting.origin, setting.value
            )));
        }
        Some(path)
    }

    /// Blank- and comma-separated names.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.text(name)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Says that a value was replaced by another.
    pub(super) fn corrected(&mut self, name: &str, text: impl Into<String>) {
        let text = text.into();
        let text = match self.setting(name) {
            Some(setting) => format!("{}: {text}", setting.origin),
            None => text,
        };
        self.notices.push(Notice::warn(text));
    }

    /// A refusal that points at a key's value.
    pub(super) fn refuse(&self, name: &str, error: ConfigError) -> ConfigError {
        match self.setting(name) {
            Some(setting) => error.at(name, &shown(Self::key(name), setting), &setting.origin),
            None => error,
        }
    }

    fn defaulted(&mut self, key: &Key, setting: &Setting, why: &str) {
        let default = if key.default.is_empty() { "not set" } else { key.default };
        self.notices.push(Notice::warn(format!(
            "{}: {}={} {why}; using the default ({default}), as Apache does",
            setting.origin,
            key.name,
            shown(key, setting)
        )));
    }
}

/// A number as `java.lang.Integer.parseInt` and friends write and read it.
trait Number: FromStr {
    fn from_hex(digits: &str) -> Option<Self>;

    fn java(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        match hex {
            Some(digits) => Self::from_hex(digits),
            None => text.parse().ok(),
        }
    }
}

impl Number for i32 {
    fn from_hex(digits: &str) -> Option<Self> {
        i32::from_str_radix(digits, 16).ok()
    }
}

impl Number for i64 {
    fn from_hex(digits: &str) -> Option<Self> {
        i64::from_str_radix(digits, 16).ok()
    }
}

impl Number for f64 {
    fn from_hex(_: &str) -> Option<Self> {
        None
    }
}

/// A flag is read by Java's lenient methods whatever the key.
fn is_strict(key: &Key, setting: &Setting) -> bool {
    key.is_strict() && setting.origin != Origin::Flag
}

/// The value as it may be shown.
pub(super) fn shown(key: &Key, setting: &Setting) -> String {
    if key.kind == Kind::Secret || is_secret_name(key.name) {
        "***".to_owned()
    } else {
        setting.value.clone()
    }
}

pub(super) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.ends_with("password") || lower.ends_with("superdigest")
}

fn not_a_number(key: &Key, setting: &Setting) -> ConfigError {
    ConfigError::config(format!("For input string: \"{}\"", setting.value))
        .at(key.name, &setting.value, &setting.origin)
        .remedy(match key.default {
            "" => "write a whole number".to_owned(),
            default => format!("write a whole number (the default is {default})"),
        })
}

fn not_a_bool(key: &Key, setting: &Setting) -> ConfigError {
    let (value, name) = (&setting.value, key.name);
    ConfigError::config(format!("Invalid option {value} for {name}. Choose 'true' or 'false.'"))
        .at(name, value, &setting.origin)
        .remedy(format!("write {name}=true or {name}=false"))
}
