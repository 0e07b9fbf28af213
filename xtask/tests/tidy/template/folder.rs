//! What the folder of a function says of it: its binary, the settings that its code reads, and the tables of its README. It reads
//! text, and compares nothing.

use std::collections::BTreeSet;

use crate::workspace::{packages, read};

/// A folder below `functions`.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) name: String,
    pub(super) manifest: String,
    pub(super) settings: String,
    pub(super) readme: String,
}

impl Folder {
    /// Every function that the workspace has.
    pub(super) fn all() -> Vec<Self> {
        let packages = packages();
        let folders = packages.iter().map(|package| package.folder()).filter(|folder| folder.starts_with("functions"));
        folders
            .map(|folder| Self {
                name: folder.file_name().expect("a folder has a name").to_string_lossy().into_owned(),
                manifest: read(&folder.join("Cargo.toml")),
                settings: read(&folder.join("src/settings.rs")),
                readme: read(&folder.join("README.md")),
            })
            .collect()
    }

    /// Whether the package makes a binary of the folder's name.
    pub(super) fn has_its_binary(&self) -> bool {
        let name = format!("name = \"{}\"", self.name);
        let mut lines = self.manifest.lines().skip_while(|line| *line != "[[bin]]").skip(1);
        lines.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == name)
    }

    /// The variables that its code names. What a comment says is not read.
    pub(super) fn settings_read(&self) -> BTreeSet<String> {
        let code = self.settings.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| line.split('"').skip(1).step_by(2))
            .filter(|text| text.starts_with("VARTALAP_"))
            .map(str::to_owned)
            .collect()
    }

    /// The variables in the README's table of settings.
    pub(super) fn settings_told(&self) -> BTreeSet<String> {
        let rows = table(&self.readme, "## Settings");
        rows.iter().flat_map(|row| code_in(row[0])).map(str::to_owned).collect()
    }

    /// Resource and action of each permission in the README's table.
    pub(super) fn permissions_told(&self) -> BTreeSet<(String, String)> {
        let rows = table(&self.readme, "## IAM");
        let permissions = rows.iter().filter(|row| row.len() > 1).flat_map(|row| {
            let resource = code_in(row[0]).next().unwrap_or(row[0]);
            code_in(row[1]).map(move |action| (resource.to_owned(), action.to_owned()))
        });
        permissions.collect()
    }
}

/// The rows of the table under a heading, without its head.
fn table<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let rows = section.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    rows.skip(2).map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// What a text has in backticks.
fn code_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read() {
        let folder = Folder {
            name: "x".to_owned(),
            manifest: "[lib]\nname = \"x\"\n\n[[bin]]\nname = \"x\"\npath = \"src/main.rs\"\n".to_owned(),
            settings: "/// Not `\"VARTALAP_A\"`.\nlet b = from.required(\"VARTALAP_B\");\n".to_owned(),
            readme: "## Settings\n\n| variable | what |\n|---|---|\n| `VARTALAP_B` | `b` |\n\n## IAM\n\nText.\n\n\
                     | resource | actions |\n|---|---|\n| `Queue` | `sqs:A`, `sqs:B` |\n| this API | `c:D` |\n"
                .to_owned(),
        };
        assert!(folder.has_its_binary());
        assert_eq!(Vec::from_iter(folder.settings_read()), ["VARTALAP_B"]);
        assert_eq!(folder.settings_told(), folder.settings_read());
        let permissions = [("Queue", "sqs:A"), ("Queue", "sqs:B"), ("this API", "c:D")];
        let permissions = permissions.map(|(resource, action)| (resource.to_owned(), action.to_owned()));
        assert_eq!(Vec::from_iter(folder.permissions_told()), permissions);
        assert!(!Folder { manifest: "[lib]\nname = \"x\"\n".to_owned(), ..folder }.has_its_binary());
    }
}
