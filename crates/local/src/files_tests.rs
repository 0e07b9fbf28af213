//! What a signed URL is good for, and what it is not.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn attachment() -> Attachment {
    Attachment {
        id: AttachmentId::new(7),
        uploader: "alice".parse().expect("a user"),
        media_type: "image/svg+xml".parse().expect("a type"),
        bytes: 12,
        expires_at: Timestamp::from_secs(2_000_000_000),
    }
}

/// The id and the parameters of a URL.
fn taken_apart(url: &str) -> (String, HashMap<String, String>) {
    let url = url.parse::<axum::http::Uri>().expect("a URL");
    let id = url.path().strip_prefix(PATH).and_then(|id| id.strip_prefix('/')).expect("an id").to_owned();
    let query = axum::extract::Query::try_from_uri(&url).expect("parameters");
    (id, query.0)
}

/// The same bytes, but for whoever overlooks the two bits at the end that belong to none.
fn spelled_otherwise(signature: &str) -> String {
    let (head, last) = signature.split_at(signature.len() - 1);
    head.to_owned() + &last.bytes().map(|byte| char::from(byte + 1)).collect::<String>()
}

#[tokio::test]
async fn a_url_is_good_for_what_was_signed_and_nothing_else() {
    let files = LocalFiles::open(None, "http://127.0.0.1:1").expect("files");
    let upload = files.upload(&attachment(), NOW).await.expect("an upload");
    let (id, query) = taken_apart(&upload.target.url);
    let until = |secs: u64| NOW.plus(std::time::Duration::from_secs(secs));
    let permit = Permit::new(&attachment(), until(900));
    assert_eq!(files.judge("PUT", &id, &query, until(899)), Ok(permit));
    assert!(files.judge("PUT", &id, &query, until(900)).expect_err("late").contains("expired"));
    for method in ["GET", "HEAD", "DELETE", "put"] {
        assert!(files.judge(method, &id, &query, NOW).is_err(), "{method}");
    }
    let other = AttachmentId::new(8).to_string();
    for id in [other.as_str(), "", "..", &id.replace('7', "/7")] {
        assert!(files.judge("PUT", id, &query, NOW).is_err(), "{id}");
    }
    let signature = query["signature"].clone();
    for (name, value) in [
        ("bytes", "13".to_owned()),
        ("bytes", "012".to_owned() + "0"),
        ("type", "text/html".to_owned()),
        ("type", "image/svg+xml\n12".to_owned()),
        ("expires", "9999999999999".to_owned()),
        ("signature", String::new()),
        ("signature", signature.to_uppercase()),
        ("signature", signature.replace(&signature[..1], if signature.starts_with('0') { "1" } else { "0" })),
        ("signature", format!("{signature}0")),
        ("signature", format!("{signature}=")),
        ("signature", spelled_otherwise(&signature)),
    ] {
        let mut changed = query.clone();
        changed.insert(name.to_owned(), value);
        assert!(files.judge("PUT", &id, &changed, NOW).is_err(), "{name}");
        changed.remove(name);
        assert!(files.judge("PUT", &id, &changed, NOW).is_err(), "without {name}");
    }
    let stranger = LocalFiles::open(None, "http://127.0.0.1:1").expect("files");
    assert!(stranger.judge("PUT", &id, &query, NOW).is_err(), "each process in memory has a key of its own");
}

#[tokio::test]
async fn a_url_outlives_the_process_if_the_files_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || LocalFiles::open(Some(folder.path()), "http://127.0.0.1:1").expect("files");
    let signed = open().download(&attachment(), NOW).await.expect("a download");
    let (id, query) = taken_apart(&signed.url);
    assert!(open().judge("GET", &id, &query, NOW).is_ok());
    let key = folder.path().join(KEY_FILE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    }
    std::fs::write(&key, "not a key").expect("a file");
    let error = LocalFiles::open(Some(folder.path()), "").expect_err("no key").to_string();
    assert!(error.contains(KEY_FILE), "{error}");
}
