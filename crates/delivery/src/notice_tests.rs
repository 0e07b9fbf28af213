//! What devices are told.

use protocol::{QuietHours, Urgency};

use super::*;
use crate::envelope::Holder;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn bob() -> UserId {
    "bob".parse().expect("a user")
}

/// The `n`th message, from `from` to `to`, accepted a minute ago.
fn row(n: u64, from: &str, to: Recipient, kind: Kind) -> Row {
    Row {
        user: bob(),
        holder: Holder::Device("phone".parse().expect("a device")),
        envelope: Envelope {
            id: format!("0198a5c0-7c00-7abc-8def-{n:012}").parse().expect("an id"),
            from: from.parse().expect("a sender"),
            to,
            kind,
            at: NOW.minus(Duration::from_secs(60)),
            expires_at: NOW.plus(Duration::from_secs(n)),
            receipts: false,
            urgency: Urgency::default(),
            body: Body::text("secret"),
        },
        undelivered: true,
        shared: true,
    }
}

fn from(n: u64, sender: &str) -> Row {
    row(n, sender, Recipient::User(bob()), Kind::Message)
}

fn to_group(n: u64, sender: &str) -> Row {
    row(n, sender, Recipient::Group("crew".parse().expect("a group")), Kind::Message)
}

fn told(occasion: Occasion, pending: &[Row], acked_elsewhere: &[Ref], notices: Notices) -> Notice {
    let reference = from(1, "alice").reference();
    let user = bob();
    notice(&Situation {
        user: &user,
        notices,
        previews: true,
        occasion,
        reference: &reference,
        pending,
        acked_elsewhere,
        now: NOW,
    })
}

fn plain(occasion: Occasion, pending: &[Row], acked_elsewhere: &[Ref]) -> Notice {
    told(occasion, pending, acked_elsewhere, Notices::default())
}

#[test]
fn a_notice_says_how_much_is_pending_and_of_which_conversation_the_newest_is() {
    let pending = [from(1, "alice"), from(2, "alice"), from(3, "alice")];
    let notice = plain(Occasion::New, &pending, &[]);
    assert_eq!((notice.badge, notice.id), (3, pending[2].envelope.id));
    assert_eq!(notice.conversation, Some(Recipient::User("alice".parse().expect("a user"))));
    assert_eq!((notice.urgency, notice.preview), (Urgency::Urgent, None));
    assert_eq!(notice.expires_at, NOW.plus(Duration::from_secs(3)));
}

#[test]
fn one_conversation_has_one_name_and_several_have_none() {
    let collapse = |pending: &[Row]| plain(Occasion::Summary, pending, &[]).collapse;
    let alice = collapse(&[from(1, "alice"), from(2, "alice")]);
    assert_eq!(alice, collapse(&[from(3, "alice")]));
    assert!((1..=32).contains(&alice.len()) && !alice.contains("alice"), "{alice}");
    assert_ne!(alice, collapse(&[from(1, "carol")]));
    assert_eq!(collapse(&[to_group(1, "alice"), to_group(2, "carol")]), collapse(&[to_group(3, "dave")]));
    let several = plain(Occasion::Summary, &[from(1, "alice"), to_group(2, "alice")], &[]);
    assert_eq!((several.collapse.as_str(), several.conversation), (SUMMARY, None));
    // A group of the name of a user is another conversation.
    let crew = row(1, "crew", Recipient::User(bob()), Kind::Message);
    assert_ne!(collapse(&[crew]), collapse(&[to_group(1, "alice")]));
}

#[test]
fn what_one_wrote_oneself_is_where_one_wrote_it() {
    let to_alice = Recipient::User("alice".parse().expect("a user"));
    let own = row(1, "bob", to_alice.clone(), Kind::Message);
    assert_eq!(plain(Occasion::New, &[own], &[]).conversation, Some(to_alice));
}

#[test]
fn what_another_device_has_acked_counts_no_more() {
    let pending = [from(1, "alice"), from(2, "alice"), from(3, "carol")];
    let acked = [pending[0].reference(), pending[2].reference()];
    let summary = plain(Occasion::Summary, &pending, &acked);
    assert_eq!((summary.badge, summary.id, summary.urgency), (1, pending[1].envelope.id, Urgency::Urgent));
    let silent = plain(Occasion::AckedElsewhere, &pending, &acked);
    assert_eq!((silent.badge, silent.urgency), (1, Urgency::Silent));
    let all: Vec<Ref> = pending.iter().map(Row::reference).collect();
    for occasion in [Occasion::Summary, Occasion::AckedElsewhere] {
        let nothing = plain(occasion, &pending, &all);
        assert_eq!((nothing.badge, nothing.urgency, nothing.conversation), (0, Urgency::Silent, None), "{occasion:?}");
        assert!(nothing.expires_at > NOW);
    }
    // Of what is new the device is told at once, whatever the other ones do.
    let new = plain(Occasion::New, &pending, &all);
    assert_eq!((new.badge, new.id, new.urgency), (1, pending[2].envelope.id, Urgency::Urgent));
}

#[test]
fn a_preview_is_for_who_wants_it_and_may() {
    let wants = Notices { preview: true, ..Notices::default() };
    let pending = [from(1, "alice"), from(2, "carol")];
    let preview = told(Occasion::New, &pending, &[], wants).preview.expect("a preview");
    assert_eq!(preview.from, "carol".parse().expect("a sender"));
    assert_eq!(format!("{preview:?}"), "Preview");
    assert_eq!(plain(Occasion::New, &pending, &[]).preview, None);
    assert_eq!(told(Occasion::AckedElsewhere, &pending, &[], wants).preview, None);
    let (user, reference) = (bob(), pending[0].reference());
    let forbidden = Situation {
        user: &user,
        notices: wants,
        previews: false,
        occasion: Occasion::New,
        reference: &reference,
        pending: &pending,
        acked_elsewhere: &[],
        now: NOW,
    };
    assert_eq!(notice(&forbidden).preview, None);
}

#[test]
fn news_and_quiet_hours_make_no_sound() {
    let urgency = |quiet, pending: &[Row]| {
        let notices = Notices { quiet, ..Notices::default() };
        told(Occasion::New, pending, &[], notices).urgency
    };
    let news = row(1, "~system", Recipient::Group("crew".parse().expect("a group")), Kind::System);
    assert_eq!(urgency(Quiet::Never, std::slice::from_ref(&news)), Urgency::Quiet);
    assert_eq!(urgency(Quiet::Never, &[from(1, "alice"), news]), Urgency::Urgent);
    assert_eq!(urgency(Quiet::Always, &[from(1, "alice")]), Urgency::Quiet);
    // It is 8:00 in UTC.
    let hours = |from, to, offset| Quiet::Hours(QuietHours::new(from, to, offset).expect("hours"));
    assert_eq!(urgency(hours(7 * 60, 9 * 60, 0), &[from(1, "alice")]), Urgency::Quiet);
    assert_eq!(urgency(hours(7 * 60, 9 * 60, 60), &[from(1, "alice")]), Urgency::Urgent);
}

#[test]
fn a_notice_is_as_loud_as_the_loudest_of_what_it_is_about() {
    let of = |n, urgency| {
        let mut row = from(n, "alice");
        row.envelope.urgency = urgency;
        row
    };
    use Urgency::{Quiet as Low, Silent, Urgent};
    let told_of = |urgencies: &[Urgency], quiet| {
        let rows: Vec<Row> = (1..).zip(urgencies).map(|(n, urgency)| of(n, *urgency)).collect();
        let notice = told(Occasion::New, &rows, &[], Notices { quiet, ..Notices::default() });
        let place = rows.iter().position(|row| row.envelope.id == notice.id);
        (notice.urgency, notice.badge, place.expect("one of them"))
    };
    assert_eq!(told_of(&[Low, Urgent], Quiet::Never), (Urgent, 2, 1));
    assert_eq!(told_of(&[Urgent, Low], Quiet::Never), (Urgent, 2, 1));
    assert_eq!(told_of(&[Low], Quiet::Never), (Low, 1, 0));
    assert_eq!(told_of(&[Urgent, Low], Quiet::Always), (Low, 2, 1));
    // What no person reads is not counted, and not what a notice that is shown is about.
    assert_eq!(told_of(&[Urgent, Silent], Quiet::Never), (Urgent, 1, 0));
    assert_eq!(told_of(&[Silent, Silent], Quiet::Always), (Silent, 0, 1));
    let silent = [of(1, Silent)];
    assert_eq!(plain(Occasion::Summary, &silent, &[]).urgency, Silent);
    assert_eq!(plain(Occasion::New, &silent, &[silent[0].reference()]).urgency, Silent);
}

#[test]
fn a_device_was_given_what_was_accepted_since_it_is_known() {
    let device = |known_since| Device {
        id: "laptop".parse().expect("a device"),
        connection: None,
        last_seen: NOW,
        shows_presence: false,
        push: Vec::new(),
        known_since,
        notices: Notices::default(),
        last_wake: None,
    };
    let envelope = from(1, "alice").envelope;
    assert!(was_given(&device(Some(NOW.minus(Duration::from_secs(61)))), &envelope));
    assert!(!was_given(&device(Some(NOW.minus(Duration::from_secs(59)))), &envelope));
    assert!(!was_given(&device(None), &envelope));
}
