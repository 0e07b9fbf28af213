//! What devices are told.

use protocol::{Kind, QuietHours};

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
        urgency: Urgency::Urgent,
        pending,
        is_cut: false,
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
        assert_eq!((nothing.badge, nothing.urgency), (0, Urgency::Silent), "{occasion:?}");
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
        urgency: Urgency::Urgent,
        pending: &pending,
        is_cut: false,
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

/// The `n`th message of alice, so urgent.
fn of(n: u64, urgency: Urgency) -> Row {
    let mut row = from(n, "alice");
    row.envelope.urgency = urgency;
    row
}

/// What is told of these by a record that may be so loud: how loud, the badge, and which one is named.
fn told_by(record: Urgency, rows: &[Row], quiet: Quiet, is_cut: bool) -> (Urgency, u32, Option<usize>) {
    let (user, reference) = (bob(), from(99, "alice").reference());
    let notice = notice(&Situation {
        user: &user,
        notices: Notices { quiet, ..Notices::default() },
        previews: false,
        occasion: Occasion::New,
        reference: &reference,
        urgency: record,
        pending: rows,
        is_cut,
        acked_elsewhere: &[],
        now: NOW,
    });
    let place = rows.iter().position(|row| row.envelope.id == notice.id);
    assert!(place.is_some() || notice.id == reference.id);
    (notice.urgency, notice.badge, place)
}

#[test]
fn a_notice_is_as_loud_as_what_is_new_and_left() {
    use Urgency::{Quiet as Low, Silent, Urgent};
    let told = |record, urgencies: &[Urgency]| {
        let rows: Vec<Row> = (1..).zip(urgencies).map(|(n, urgency)| of(n, *urgency)).collect();
        told_by(record, &rows, Quiet::Never, false)
    };
    assert_eq!(told(Urgent, &[Low, Urgent]), (Urgent, 2, Some(1)));
    assert_eq!(told(Urgent, &[Urgent, Low]), (Urgent, 2, Some(1)));
    // What was told before makes no sound again.
    assert_eq!(told(Low, &[Urgent, Low]), (Low, 2, Some(1)));
    assert_eq!(told(Silent, &[Urgent, Silent]), (Silent, 1, Some(0)));
    // What is gone makes none either.
    assert_eq!(told(Urgent, &[Low]), (Low, 1, Some(0)));
    // What no person reads is not counted, and not what a notice that is shown is about.
    assert_eq!(told(Urgent, &[Urgent, Silent]), (Urgent, 1, Some(0)));
    assert_eq!(told(Silent, &[Silent, Silent]), (Silent, 0, Some(1)));
    let (low, urgent) = ([of(1, Low)], [of(1, Urgent)]);
    assert_eq!(told_by(Urgent, &low, Quiet::Always, false), (Low, 1, Some(0)));
    assert_eq!(told_by(Urgent, &urgent, Quiet::Always, false), (Low, 1, Some(0)));
    // Behind more than is read may lie what is urgent, and nothing that is silent stands for it.
    assert_eq!(told_by(Urgent, &low, Quiet::Never, true), (Urgent, 1, Some(0)));
    assert_eq!(told_by(Urgent, &[of(1, Silent)], Quiet::Never, true), (Urgent, 1, None));
    assert_eq!(told_by(Urgent, &[], Quiet::Never, true), (Urgent, 1, None));
    assert_eq!(told_by(Urgent, &[], Quiet::Always, true), (Low, 1, None));
}

#[test]
fn what_is_new_is_shown_although_it_passes_for_acked() {
    let rows = [of(1, Urgency::Silent), of(2, Urgency::Urgent), of(3, Urgency::Silent)];
    let new = plain(Occasion::New, &rows, &[rows[1].reference()]);
    assert_eq!((new.urgency, new.id, new.badge), (Urgency::Urgent, rows[1].envelope.id, 1));
    let summary = plain(Occasion::Summary, &rows, &[rows[1].reference()]);
    assert_eq!((summary.urgency, summary.badge), (Urgency::Silent, 0));
}

#[test]
fn a_silent_notice_takes_away_what_is_left_nothing_of() {
    let pending = [from(1, "alice"), from(2, "alice"), from(3, "carol")];
    let of = |acked: &[usize]| {
        let acked: Vec<Ref> = acked.iter().map(|place| pending[*place].reference()).collect();
        plain(Occasion::AckedElsewhere, &pending, &acked)
    };
    let name = |sender: &str| Some(Recipient::User(sender.parse().expect("a user")));
    let shown = |sender: &str| plain(Occasion::New, &[from(1, sender)], &[]).collapse;
    // Something is left of the only conversation with an ack: nothing is taken away, and no other notice's place is taken.
    assert_eq!((of(&[1]).conversation, of(&[1]).badge, of(&[1]).collapse.as_str()), (None, 2, SILENT));
    assert_eq!((of(&[0, 1]).conversation, of(&[0, 1]).collapse), (name("alice"), shown("alice")));
    assert_eq!((of(&[2]).conversation, of(&[2]).collapse), (name("carol"), shown("carol")));
    // The reference is alice's first, so hers comes before others.
    assert_eq!((of(&[0, 1, 2]).conversation, of(&[0, 1, 2]).badge), (name("alice"), 0));
    assert!(of(&[1]).takes_back && !plain(Occasion::New, &pending, &[]).takes_back);
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
