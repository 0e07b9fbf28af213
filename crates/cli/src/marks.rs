//! The mark by which a chat tells another one what it has shown: the body of an ephemeral message,
//! `{"vartalap":"shown","ids":["ID",...]}`. It sends nothing and prints nothing.

use protocol::{Body, MessageId};
use serde::{Deserialize, Serialize};

/// Most ids in one mark.
pub(crate) const MAX_IDS: usize = 100;

#[derive(Serialize, Deserialize)]
struct Mark {
    vartalap: Word,
    ids: Vec<MessageId>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Shown,
}

/// The mark for these messages.
pub(crate) fn body(ids: &[MessageId]) -> Body {
    let mark = Mark { vartalap: Word::Shown, ids: ids.to_vec() };
    Body::new(serde_json::value::to_raw_value(&mark).expect("ids are always JSON"))
}

/// The messages that this body marks, when it is a mark and not a message for a person.
pub(crate) fn ids(body: &Body) -> Option<Vec<MessageId>> {
    // An array could be read as a mark as well.
    let object = body.as_json().starts_with('{');
    object.then(|| serde_json::from_str::<Mark>(body.as_json()).ok()).flatten().map(|mark| mark.ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198a5c0-7c00-7abc-8def-000000000001";

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let marked = vec![ID.parse().expect("an id"); 2];
        assert_eq!(body(&marked).as_json(), format!(r#"{{"vartalap":"shown","ids":["{ID}","{ID}"]}}"#));
        assert_eq!(ids(&body(&marked)), Some(marked));
    }

    #[test]
    fn nothing_else_is_a_mark() {
        for json in [
            r#""hello""#.to_owned(),
            "{}".to_owned(),
            r#"{"vartalap":"shown"}"#.to_owned(),
            r#"{"vartalap":"shown","ids":["1"]}"#.to_owned(),
            format!(r#"{{"vartalap":"written","ids":["{ID}"]}}"#),
            format!(r#"["shown",["{ID}"]]"#),
            format!(r#""{{\"vartalap\":\"shown\",\"ids\":[\"{ID}\"]}}""#),
        ] {
            assert_eq!(ids(&Body::from_json(json.clone()).expect("JSON")), None, "{json}");
        }
    }
}
