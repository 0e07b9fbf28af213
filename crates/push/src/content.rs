//! The content: what an app is given of a notice, the same JSON object in every service. How a service wraps it is in
//! its module.

use std::time::Duration;

use protocol::{Body, MessageId, Recipient, Sender, Timestamp, Urgency, UserId};
use serde::Serialize;
use serde_json::value::RawValue;

use delivery::{Notice, Preview};

/// Most bytes of a content. Every service takes 4,096 bytes with its own part in them; see the test of each.
pub const MAX_CONTENT_BYTES: usize = 3_000;

/// Longest time that a service is asked to keep a notice: FCM refuses more.
const MAX_TTL: Duration = Duration::from_secs(28 * 24 * 3_600);

#[derive(Serialize)]
struct Content<'a> {
    user: &'a UserId,
    id: MessageId,
    conversation: Option<&'a Recipient>,
    badge: u32,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    from: &'a Sender,
    body: &'a Body,
}

/// The content of a notice, at most [`MAX_CONTENT_BYTES`]: without its preview if that makes it longer.
pub fn content(notice: &Notice) -> Box<RawValue> {
    let whole = render(notice, notice.preview.as_ref());
    if whole.get().len() > MAX_CONTENT_BYTES { render(notice, None) } else { whole }
}

fn render(notice: &Notice, preview: Option<&Preview>) -> Box<RawValue> {
    let content = Content {
        user: &notice.user,
        id: notice.id,
        conversation: notice.conversation.as_ref(),
        badge: notice.badge,
        kind: match notice.urgency {
            Urgency::Urgent | Urgency::Quiet => "message",
            Urgency::Silent => "silent",
        },
        preview: preview.map(|preview| Shown { from: &preview.from, body: &preview.body }),
    };
    serde_json::value::to_raw_value(&content).expect("strings, numbers and a JSON value are always JSON")
}

/// How long a service may keep the notice, in whole seconds.
pub(crate) fn ttl(notice: &Notice, now: Timestamp) -> u64 {
    notice.expires_at.since(now).min(MAX_TTL).as_secs()
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::*;

    pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// A notice as long as they come: every name at its limit, and a preview that just fits.
    pub(crate) fn longest() -> Notice {
        let name = "|".repeat(128);
        let mut notice = Notice {
            user: name.parse().expect("a user"),
            conversation: Some(Recipient::Group(name.parse().expect("a group"))),
            badge: u32::MAX,
            collapse: "c".repeat(32),
            ..notice()
        };
        let room = MAX_CONTENT_BYTES - content(&notice).get().len() - r#","preview":{"from":"","body":""}"#.len() - 128;
        // A quotation mark takes two bytes here and up to four where the content is itself a string in JSON.
        let text = format!("{}{}", "\"".repeat(room / 2), "x".repeat(room % 2));
        notice.preview = Some(Preview { from: name.parse().expect("a sender"), body: Body::text(&text) });
        assert_eq!(content(&notice).get().len(), MAX_CONTENT_BYTES);
        notice
    }

    pub(crate) fn notice() -> Notice {
        Notice {
            user: "bob".parse().expect("a user"),
            id: "0198a5c0-7c00-7abc-8def-0123456789ab".parse().expect("an id"),
            conversation: Some(Recipient::User("alice".parse().expect("a user"))),
            badge: 50,
            preview: None,
            urgency: Urgency::Urgent,
            takes_back: false,
            collapse: "c-alice".to_owned(),
            expires_at: NOW.plus(Duration::from_secs(3_600)),
        }
    }

    #[test]
    fn an_app_is_given_where_and_how_many() {
        let content = |notice| content(&notice).get().to_owned();
        expect![[r#"{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"user":"alice"},"badge":50,"kind":"message"}"#]]
            .assert_eq(&content(notice()));
        expect![[r#"{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":null,"badge":50,"kind":"silent"}"#]]
            .assert_eq(&content(Notice { urgency: Urgency::Silent, conversation: None, ..notice() }));
        let preview = Preview { from: "alice".parse().expect("a sender"), body: Body::text("hi") };
        expect![[r#"{"user":"bob","id":"0198a5c0-7c00-7abc-8def-0123456789ab","conversation":{"group":"crew"},"badge":50,"kind":"message","preview":{"from":"alice","body":"hi"}}"#]]
            .assert_eq(&content(Notice {
                conversation: Some(Recipient::Group("crew".parse().expect("a group"))),
                preview: Some(preview),
                ..notice()
            }));
    }

    #[test]
    fn a_preview_that_is_too_long_is_left_out() {
        let mut notice = longest();
        let preview = notice.preview.as_mut().expect("one");
        let json = preview.body.as_json();
        preview.body = Body::from_json(format!("{}x\"", &json[..json.len() - 1])).expect("JSON");
        assert_eq!(content(&notice).get(), content(&Notice { preview: None, ..notice.clone() }).get());
    }

    #[test]
    fn a_notice_is_kept_until_it_expires() {
        let until = |expires_at| ttl(&Notice { expires_at, ..notice() }, NOW);
        assert_eq!(until(NOW.plus(Duration::from_millis(59_999))), 59);
        assert_eq!(until(NOW.minus(Duration::from_secs(1))), 0);
        assert_eq!(until(NOW.plus(Duration::from_secs(90 * 24 * 3_600))), 2_419_200);
    }

    #[test]
    fn debug_shows_no_message() {
        let shown = format!("{:?}", longest().preview);
        assert_eq!(shown, "Some(Preview)");
    }
}
