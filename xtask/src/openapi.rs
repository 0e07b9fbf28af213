//! Tries the HTTP API by its own description, `docs/openapi.yaml`, with Schemathesis, against a local cloud: whatever it makes up must be
//! answered as described. That the description is complete is a test of functions/http.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::child;
use crate::local_cloud::LocalCloud;
use crate::report::{Failure, Outcome};
use crate::tools::{self, Tool};

/// Made-up requests for each operation, beside those at the edges of what is described. Always the same, so that what fails is what was
/// changed.
const EXAMPLES: &str = "30";
const SEED: &str = "1";

/// Where it finds its token: a command is printed, and a token is none of anybody's business. And how what is not as described may be
/// refused: of its own accord it does not take 413 for a refusal.
const SETTINGS: &str = "headers = { Authorization = \"Bearer ${VARTALAP_TOKEN}\" }\n\n\
    [checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, 409, 413]\n";

/// Runs it.
///
/// # Errors
///
/// When it cannot be installed, or an answer was not as described.
pub(crate) fn try_out(root: &Path) -> Result<Outcome, Failure> {
    let folder = root.join("target/openapi");
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("schemathesis.toml"), SETTINGS));
    written.map_err(|error| Failure::new(format!("cannot write to {}: {error}", folder.display())))?;
    let cloud = LocalCloud::start(root, folder.join("issuer"), &[])?;
    let token = cloud.token("alice")?;
    // Otherwise every answer would be a 401, which is described as well.
    if !is_good(&token, &cloud.http) {
        return Err(Failure::new("the local cloud does not take its own token"));
    }
    let mut run = Command::new(tools::locate(root, Tool::Schemathesis)?);
    // There, since it leaves folders of its own where it runs.
    run.current_dir(&folder).arg("run").arg(root.join("docs/openapi.yaml")).args(["--url", &cloud.http]);
    run.args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED]);
    // Who may change which group is told by 403, which looks to it as if the token were bad.
    run.args(["--generation-database", "none", "--warnings", "off", "--no-color"]);
    run.env("VARTALAP_TOKEN", token);
    if child::run(&mut run)? {
        Ok(Outcome::Passed)
    } else {
        Err(Failure::new("correct docs/openapi.yaml or the answer; the requests above can be repeated with curl"))
    }
}

/// Whether a token opens the HTTP API.
fn is_good(token: &str, http: &str) -> bool {
    let host = http.trim_start_matches("http://");
    let asked = TcpStream::connect(host).and_then(|mut stream| {
        write!(stream, "GET /v1/groups HTTP/1.0\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\r\n")?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).map(|_| status)
    });
    asked.is_ok_and(|status| status.contains(" 200 "))
}
