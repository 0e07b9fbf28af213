//! Everything that an [`Attachments`] and a [`Files`] promise.

use std::collections::BTreeSet;
use std::time::Duration;

use delivery::attachment::{DOWNLOAD_VALIDITY, UPLOAD_VALIDITY, upload_headers};
use delivery::{Attached, Attachment, Attachments, Files, Grant};
use protocol::limits::MAX_ATTACHMENTS_PER_SEND;
use protocol::{AttachmentId, Timestamp, UserId};

use super::{NOW, user};
use crate::clock::message_id;

/// Everything that an [`Attachments`] promises.
pub async fn attachments(attachments: impl Attachments) {
    only_the_uploader_and_who_it_is_granted_to_may_have_one(&attachments).await;
    a_grant_takes_nothing_away(&attachments).await;
    an_expired_one_is_nobodys(&attachments).await;
    many_are_read_at_once(&attachments).await;
}

fn attachment(n: u128, uploader: &str) -> Attachment {
    Attachment {
        id: AttachmentId::new(n),
        uploader: user(uploader),
        media_type: "image/jpeg".parse().expect("a type"),
        bytes: 12_345,
        expires_at: NOW.plus(Duration::from_secs(60)),
    }
}

fn grant(of: &Attachment, message: u64, names: impl IntoIterator<Item = String>) -> Grant {
    Grant {
        attachment: Attached { id: of.id, expires_at: of.expires_at },
        message: message_id(NOW, message),
        sender: user("ann").into(),
        recipients: names.into_iter().map(|name| user(&name)).collect(),
    }
}

fn names<const N: usize>(names: [&str; N]) -> [String; N] {
    names.map(str::to_owned)
}

async fn keep(attachments: &impl Attachments, attachment: &Attachment) {
    attachments.keep(attachment).await.expect("it is kept");
}

async fn give(attachments: &impl Attachments, grants: &[Grant]) {
    let outcomes = attachments.grant(grants).await;
    assert!(outcomes.len() == grants.len() && outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

async fn open(attachments: &impl Attachments, who: &UserId, attachment: &Attachment, now: Timestamp) -> bool {
    let found = attachments.open_to(who, &[attachment.id], now).await.expect("an answer");
    assert!(found.len() == 1 && found[0].as_ref().is_none_or(|found| found == attachment), "{found:?}");
    found[0].is_some()
}

async fn only_the_uploader_and_who_it_is_granted_to_may_have_one(attachments: &impl Attachments) {
    let (photo, other) = (attachment(1, "ann"), attachment(2, "ann"));
    assert!(!open(attachments, &user("ann"), &photo, NOW).await, "there is none");
    for one in [&photo, &other] {
        keep(attachments, one).await;
        keep(attachments, one).await;
    }
    assert!(open(attachments, &user("ann"), &photo, NOW).await);
    assert!(!open(attachments, &user("bob"), &photo, NOW).await);
    give(attachments, &[grant(&photo, 1, names(["bob", "carol"]))]).await;
    for (name, may) in [("ann", true), ("bob", true), ("carol", true), ("bo", false), ("bobb", false), ("eve", false)] {
        assert_eq!(open(attachments, &user(name), &photo, NOW).await, may, "{name}");
        assert_eq!(open(attachments, &user(name), &other, NOW).await, name == "ann", "{name}");
    }
}

async fn a_grant_takes_nothing_away(attachments: &impl Attachments) {
    let photo = attachment(3, "ann");
    keep(attachments, &photo).await;
    let first = grant(&photo, 1, names(["bob", "carol"]));
    give(attachments, std::slice::from_ref(&first)).await;
    // The same message, to a group that has changed; another message; and the first once more.
    for later in [grant(&photo, 1, names(["carol", "dave"])), grant(&photo, 2, names(["erin"])), first] {
        give(attachments, &[later]).await;
    }
    for name in ["bob", "carol", "dave", "erin"] {
        assert!(open(attachments, &user(name), &photo, NOW).await, "{name}");
    }
    // Before there is such an attachment a grant of it is worth nothing.
    let later = attachment(4, "ann");
    give(attachments, &[grant(&later, 1, names(["bob"]))]).await;
    assert!(!open(attachments, &user("bob"), &later, NOW).await);
}

async fn an_expired_one_is_nobodys(attachments: &impl Attachments) {
    let photo = attachment(5, "ann");
    keep(attachments, &photo).await;
    give(attachments, &[grant(&photo, 1, names(["bob"]))]).await;
    for name in ["ann", "bob"] {
        let last = photo.expires_at.minus(Duration::from_secs(1));
        assert!(open(attachments, &user(name), &photo, last).await, "{name}");
        assert!(!open(attachments, &user(name), &photo, photo.expires_at).await, "{name}");
    }
}

async fn many_are_read_at_once(attachments: &impl Attachments) {
    // More grants than one batch writes, of which the last names whom is asked for.
    let photo = attachment(6, "ann");
    keep(attachments, &photo).await;
    let members = |n: u64| (0..25).map(move |member| format!("u{n:04}-{member:02}"));
    let grants: Vec<Grant> = (0..30).map(|n| grant(&photo, n, members(n))).collect();
    give(attachments, &grants).await;
    assert!(
        open(attachments, &user("u0029-24"), &photo, NOW).await
            && open(attachments, &user("u0000-00"), &photo, NOW).await
    );
    assert!(!open(attachments, &user("u0030-00"), &photo, NOW).await);

    let many: Vec<Attachment> = (100..100 + MAX_ATTACHMENTS_PER_SEND as u128)
        .map(|n| attachment(n, if n % 3 == 0 { "ann" } else { "bob" }))
        .collect();
    for one in &many {
        keep(attachments, one).await;
    }
    let granted: Vec<Grant> = many.iter().step_by(2).map(|one| grant(one, 1, names(["ann"]))).collect();
    give(attachments, &granted).await;
    let granted: BTreeSet<AttachmentId> = granted.iter().map(|grant| grant.attachment.id).collect();
    let ids: Vec<AttachmentId> = many.iter().map(|one| one.id).rev().collect();
    let found = attachments.open_to(&user("ann"), &ids, NOW).await.expect("an answer");
    let expected = many.iter().rev().map(|one| {
        let may = one.uploader == user("ann") || granted.contains(&one.id);
        may.then(|| one.clone())
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert!(attachments.open_to(&user("ann"), &[], NOW).await.expect("an answer").is_empty());
}

/// Everything that a [`Files`] promises of its URLs; what they lead to is tested where they lead.
pub async fn files(files: impl Files) {
    let (photo, other) = (attachment(7, "ann"), attachment(8, "ann"));
    let upload = files.upload(&photo, NOW).await.expect("an upload");
    assert_eq!(upload.target.expires_at, NOW.plus(UPLOAD_VALIDITY));
    assert_eq!(upload.headers, upload_headers(&photo.media_type, photo.bytes));
    let download = files.download(&photo, NOW).await.expect("a download");
    assert_eq!(download.expires_at, NOW.plus(DOWNLOAD_VALIDITY));
    let others = files.download(&other, NOW).await.expect("a download");
    let urls = BTreeSet::from([&upload.target.url, &download.url, &others.url]);
    assert_eq!(urls.len(), 3, "each is for one thing");
    assert!(upload.target.url.contains(&photo.id.to_string()) && download.url.contains(&photo.id.to_string()));
    assert!(!format!("{upload:?}{download:?}").contains(&upload.target.url), "a URL reaches no log");
}
