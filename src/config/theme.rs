//! `portal.theme`: a folder that replaces logo, colours, texts and whole templates. It is read whole while the configuration
//! is, so that a reload swaps it with everything else. What the pages make of it is the portal's business.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Language;
use super::diagnostic::{Diagnostic, Place, Severity};
use super::surroundings::{read_file, reason};

/// The longest style sheet, template or file of texts.
const LARGEST_TEXT: usize = 256 * 1024;
/// The most templates: more than twice as many as there are.
const MOST_TEMPLATES: usize = 128;
/// `templates/admin/users.html` is two deep.
const DEEPEST: usize = 4;

/// What a theme's folder holds.
pub struct Theme {
    pub folder: PathBuf,
    /// Comes after sekisho's own.
    pub style: Option<ThemeText>,
    /// Instead of the mark beside the title.
    pub logo: Option<Picture>,
    /// Of the browser's tab.
    pub icon: Option<Picture>,
    pub messages: Vec<(Language, ThemeText)>,
    /// By their names, as `admin/users.html`.
    pub templates: Vec<(String, ThemeText)>,
}

/// A file of text.
#[derive(Clone)]
pub struct ThemeText {
    pub path: PathBuf,
    pub text: String,
}

/// A picture.
#[derive(Clone)]
pub struct Picture {
    pub path: PathBuf,
    pub format: PictureFormat,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    Svg,
    Png,
}

impl fmt::Debug for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Theme").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Theme {
    /// Reads a folder. What is wrong with its files, and what in it nobody reads, is in the list; with an error there,
    /// there is no theme.
    ///
    /// # Errors
    /// Where there is no such folder: why.
    pub fn read(folder: &Path) -> Result<(Option<Self>, Vec<Diagnostic>), String> {
        let root = folder.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no folder {}", folder.display()),
            _ => format!("cannot read {}: {}", folder.display(), reason(&error)),
        })?;
        if !root.is_dir() {
            return Err(format!("{} is no folder", folder.display()));
        }
        let mut reader = Reader { folder: folder.to_owned(), root, problems: Vec::new() };
        let theme = reader.theme();
        let is_wrong = reader.problems.iter().any(|problem| problem.severity == Severity::Error);
        Ok(((!is_wrong).then_some(theme), reader.problems))
    }
}

struct Reader {
    folder: PathBuf,
    /// The same without links: nothing from outside of it is read.
    root: PathBuf,
    problems: Vec<Diagnostic>,
}

impl Reader {
    fn theme(&mut self) -> Theme {
        let mut theme = Theme {
            folder: self.folder.clone(),
            style: None,
            logo: None,
            icon: None,
            messages: Vec::new(),
            templates: Vec::new(),
        };
        for (name, path) in self.entries(&self.folder.clone()) {
            match name.as_str() {
                "style.css" => theme.style = self.text(path),
                "logo.svg" | "logo.png" if theme.logo.is_none() => theme.logo = self.picture(path),
                "icon.svg" | "icon.png" if theme.icon.is_none() => theme.icon = self.picture(path),
                "messages" => theme.messages = self.messages(&path),
                "templates" => self.templates(&path, "", 1, &mut theme.templates),
                _ => {
                    self.useless(
                        &path,
                        "style.css, logo.svg or .png, icon.svg or .png, messages/, templates/ are read",
                    );
                }
            }
        }
        theme
    }

    fn messages(&mut self, folder: &Path) -> Vec<(Language, ThemeText)> {
        let mut messages = Vec::new();
        for (name, path) in self.entries(folder) {
            let language = match name.as_str() {
                "ja.ftl" => Language::Ja,
                "en.ftl" => Language::En,
                _ => {
                    self.useless(&path, "the pages speak ja and en: messages/ja.ftl, messages/en.ftl");
                    continue;
                }
            };
            messages.extend(self.text(path).map(|text| (language, text)));
        }
        messages
    }

    fn templates(&mut self, folder: &Path, below: &str, depth: usize, found: &mut Vec<(String, ThemeText)>) {
        for (name, path) in self.entries(folder) {
            let full = format!("{below}{name}");
            if path.is_dir() && depth < DEEPEST {
                self.templates(&path, &format!("{full}/"), depth + 1, found);
            } else if !name.ends_with(".html") {
                self.useless(&path, "a template's name ends with .html");
            } else if found.len() >= MOST_TEMPLATES {
                self.error(&path, 1, format!("there are more than {MOST_TEMPLATES} templates"), None);
                return;
            } else if let Some(text) = self.text(path) {
                found.push((full, text));
            }
        }
    }

    /// Names and paths in a folder, in order. What begins with a dot, and what is there to be read by people, is passed over.
    fn entries(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.error(folder, 1, format!("cannot be read: {}", reason(&error)), None);
                return Vec::new();
            }
        };
        let names = entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
        let for_people = |name: &str| ["README", "LICENSE", "NOTICE"].iter().any(|start| name.starts_with(start));
        let mut all: Vec<_> = names.filter(|(name, _)| !name.starts_with('.') && !for_people(name)).collect();
        all.sort();
        all
    }

    fn text(&mut self, path: PathBuf) -> Option<ThemeText> {
        let bytes = self.bytes(&path)?;
        if bytes.len() > LARGEST_TEXT {
            self.error(&path, 1, "is larger than 256 KiB".to_owned(), None);
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(ThemeText { path, text }),
            Err(error) => {
                let (valid, _) =
                    error.as_bytes().split_at_checked(error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
                self.error(&path, line, "is not UTF-8 text".to_owned(), None);
                None
            }
        }
    }

    fn picture(&mut self, path: PathBuf) -> Option<Picture> {
        let bytes = self.bytes(&path)?;
        let is_svg = path.extension().is_some_and(|extension| extension == "svg");
        let is_what_it_says = if is_svg {
            std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg"))
        } else {
            bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        };
        if !is_what_it_says {
            self.error(&path, 1, format!("is no {} picture", if is_svg { "SVG" } else { "PNG" }), None);
            return None;
        }
        Some(Picture { path, format: if is_svg { PictureFormat::Svg } else { PictureFormat::Png }, bytes })
    }

    fn bytes(&mut self, path: &Path) -> Option<Vec<u8>> {
        match path.canonicalize() {
            Ok(real) if !real.starts_with(&self.root) => {
                let hint = "copy the file into the folder: nothing outside of it is read";
                self.error(path, 1, "is a link that leads out of the theme's folder".to_owned(), Some(hint));
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                self.error(path, 1, format!("cannot be read: {}", reason(&error)), None);
                return None;
            }
        }
        match read_file(path) {
            Ok((bytes, _)) => Some(bytes),
            Err(error) => {
                self.error(path, 1, format!("cannot be read: {}", reason(&error)), None);
                None
            }
        }
    }

    fn useless(&mut self, path: &Path, hint: &str) {
        self.problems.push(problem(Severity::Warning, path, 1, "is read by nobody".to_owned(), Some(hint)));
    }

    fn error(&mut self, path: &Path, line: usize, message: String, hint: Option<&str>) {
        self.problems.push(problem(Severity::Error, path, line, message, hint));
    }
}

/// Something about a theme's file.
#[must_use]
pub fn problem(severity: Severity, path: &Path, line: usize, message: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic {
        severity,
        file: path.display().to_string(),
        line,
        column: Place::START.column,
        message,
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir) -> (Option<Theme>, Vec<String>) {
        let (theme, problems) = Theme::read(folder.path()).unwrap();
        let shown = problems.iter().map(|problem| {
            let file = problem.file.strip_prefix(folder.path().to_str().unwrap()).unwrap();
            format!("{file}:{} {:?} {}", problem.line, problem.severity, problem.message)
        });
        (theme, shown.collect())
    }

    #[test]
    fn a_folder_is_read_whole() {
        let folder = folder(&[
            ("style.css", b":root { --main: red }"),
            ("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            ("icon.png", b"\x89PNG\r\n\x1a\nrest"),
            ("messages/ja.ftl", "login-submit = 入る".as_bytes()),
            ("templates/login.html", b"{% extends 'builtin/login.html' %}"),
            ("templates/admin/users.html", b"x"),
            ("README.md", b"for people"),
            (".git/config", b"for git"),
        ]);
        let (theme, problems) = read(&folder);
        let theme = theme.unwrap();
        assert_eq!(problems, [""; 0]);
        assert!(theme.style.is_some() && theme.logo.as_ref().unwrap().format == PictureFormat::Svg);
        assert_eq!(theme.icon.as_ref().unwrap().format, PictureFormat::Png);
        assert_eq!((theme.messages.len(), theme.messages[0].0), (1, Language::Ja));
        let names: Vec<_> = theme.templates.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["admin/users.html", "login.html"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_place() {
        let outside = folder(&[("secret", b"x")]);
        let folder = folder(&[
            ("style.css", b"a\nb\n\xff"),
            ("logo.png", b"<svg/>"),
            ("stile.css", b""),
            ("messages/fr.ftl", b""),
            ("templates/login.htm", b""),
            ("templates/enrol.html", &vec![b'x'; LARGEST_TEXT + 1]),
        ]);
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("templates/logout.html")).unwrap();
        let (theme, problems) = read(&folder);
        assert!(theme.is_none());
        assert_eq!(
            problems,
            [
                "/logo.png:1 Error is no PNG picture",
                "/messages/fr.ftl:1 Warning is read by nobody",
                "/stile.css:1 Warning is read by nobody",
                "/style.css:3 Error is not UTF-8 text",
                "/templates/enrol.html:1 Error is larger than 256 KiB",
                "/templates/login.htm:1 Warning is read by nobody",
                "/templates/logout.html:1 Error is a link that leads out of the theme's folder",
            ]
        );
        assert!(Theme::read(&folder.path().join("gone")).unwrap_err().starts_with("there is no folder"));
        assert!(Theme::read(&folder.path().join("style.css")).unwrap_err().ends_with("is no folder"));
    }
}
