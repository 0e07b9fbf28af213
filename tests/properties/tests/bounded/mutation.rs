//! Mutations of valid input: what is cut, repeated, spliced, or replaced by something that readers tend to trip over. It knows
//! JSON's tokens and nothing of what they mean.

use std::ops::Range;
use std::sync::LazyLock;

use properties::MARK;
use proptest::prelude::*;
use proptest::sample::Index;

/// One change, at places that are scaled to however long the text is by then.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Truncate(Index),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    SetByte(Index, u8),
    Insert(Index, Index),
    ReplaceToken(Index, Index),
    DuplicateMember(Index),
    SpliceSeed(Index, Index, Index),
}

/// Up to six changes, one after the other.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    use Mutation::{Cut, DuplicateMember, Insert, Repeat, ReplaceToken, SetByte, SpliceSeed, Truncate};
    let at = any::<Index>;
    let one = prop_oneof![
        1 => at().prop_map(Truncate),
        2 => (at(), 1..40_usize).prop_map(|(from, length)| Cut(from, length)),
        2 => (at(), 1..40_usize, 1..40_usize).prop_map(|(from, length, times)| Repeat(from, length, times)),
        2 => (at(), any::<u8>()).prop_map(|(place, byte)| SetByte(place, byte)),
        2 => (at(), at()).prop_map(|(place, what)| Insert(place, what)),
        6 => (at(), at()).prop_map(|(token, what)| ReplaceToken(token, what)),
        3 => at().prop_map(DuplicateMember),
        2 => (at(), at(), at()).prop_map(|(seed, from, place)| SpliceSeed(seed, from, place)),
    ];
    prop::collection::vec(one, 0..6)
}

/// What readers trip over, most of it a JSON value.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let nested = |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let words = [
        "null",
        "true",
        "false",
        "{}",
        "[]",
        "[null]",
        "0",
        "-0",
        "1",
        "-1",
        "0.5",
        "1e2",
        "1e400",
        "-1e-400",
        "255",
        "4294967296",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "\"\"",
        "\" \"",
        "\"7\"",
        "\"-7\"",
        "\"1e3\"",
        "\"null\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ufffe\\uffff\"",
        "\"\u{fffe}\"",
        "\"\u{ffff}\u{fdd0}\u{1ffff}\"",
        "\"\u{feff}\"",
        "\"\u{202e}\u{200b}\"",
        "\"é\u{1f600}\"",
        "\"a#b\"",
        "\"*\"",
        "\"~*\"",
        "\"\\",
        "\u{0}",
        "\u{feff}",
        "\r\n",
        ",",
        "=",
        ".",
        "{\"user\":\"b\",\"user\":\"b\"}",
        "{\"user\":\"b\",\"group\":\"g\"}",
        "{\"S\":\"7\"}",
        "{\"N\":\"1.5\"}",
        "{\"N\":\"-7\"}",
        "{\"BOOL\":true}",
        "{\"NULL\":true}",
        "{\"L\":[{\"S\":\"x\"}]}",
    ];
    let mut pieces: Vec<String> = words.map(str::to_owned).to_vec();
    pieces.extend([
        nested("[", "]", 100),
        nested("[", "]", 5_000),
        nested("{\"a\":", "}", 5_000),
        "[".repeat(5_000),
        "9".repeat(400),
        format!("0.{}", "0".repeat(400)),
        format!("\"{}\"", "x".repeat(65)),
        format!("\"{}\"", "é".repeat(129)),
        format!("\"{}\"", "\\u0001".repeat(3_000)),
        format!("[{}]", vec!["{}"; 26].join(",")),
        format!("[{}]", vec!["\"x\""; 101].join(",")),
        format!("\"{MARK}\""),
        format!("{{\"{MARK}\":\"{MARK}\"}}"),
        MARK.to_owned(),
    ]);
    pieces
});

/// `seed` after these changes. Splices come from `seeds`.
pub(crate) fn apply(mutations: &[Mutation], seed: &str, seeds: &[String]) -> Vec<u8> {
    let mut text = seed.as_bytes().to_vec();
    for mutation in mutations {
        // One place more than there are bytes: the end.
        let place = |index: &Index| index.index(text.len() + 1);
        let range = |from: &Index, length: usize| {
            let from = place(from);
            from..text.len().min(from + length)
        };
        match mutation {
            Mutation::Truncate(at) => text.truncate(place(at)),
            Mutation::Cut(from, length) => drop(text.drain(range(from, *length))),
            Mutation::Repeat(from, length, times) => {
                let range = range(from, *length);
                let repeated = text[range.clone()].repeat(*times);
                text.splice(range, repeated);
            }
            Mutation::SetByte(at, byte) => {
                let at = place(at);
                text.splice(at..text.len().min(at + 1), [*byte]);
            }
            Mutation::Insert(at, what) => {
                let at = place(at);
                text.splice(at..at, what.get(&PIECES).bytes());
            }
            Mutation::ReplaceToken(token, what) => {
                let tokens = tokens(&text);
                if !tokens.is_empty() {
                    text.splice(token.get(&tokens).clone(), what.get(&PIECES).bytes());
                }
            }
            Mutation::DuplicateMember(which) => {
                let keys = keys(&text);
                if !keys.is_empty() {
                    let member = member(&text, which.get(&keys));
                    let again = [&text[member.clone()], b","].concat();
                    text.splice(member.start..member.start, again);
                }
            }
            Mutation::SpliceSeed(seed, from, at) => {
                let other = seed.get(seeds).as_bytes();
                let at = place(at);
                text.truncate(at);
                text.extend(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    text
}

/// The strings, numbers and words of a text.
fn tokens(text: &[u8]) -> Vec<Range<usize>> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let end = end_of_token(text, at);
        if end > at {
            tokens.push(at..end);
        }
        at = end.max(at + 1);
    }
    tokens
}

/// Where the string, number or word that begins `at` a place ends; there, if none does.
fn end_of_token(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    if rest.first() != Some(&b'"') {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        return at + rest.iter().take_while(|byte| is_word(byte)).count();
    }
    let mut is_escaped = false;
    let closing = rest.iter().skip(1).position(|byte| {
        let closes = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        closes
    });
    closing.map_or(text.len(), |inside| at + inside + 2)
}

/// The keys of the objects of a text.
fn keys(text: &[u8]) -> Vec<Range<usize>> {
    let is_key = |token: &Range<usize>| text[token.start] == b'"' && text.get(token.end) == Some(&b':');
    tokens(text).into_iter().filter(is_key).collect()
}

/// The member of this key, with its whole value. Only of one key at a time: nested thousands deep, all together are quadratic.
fn member(text: &[u8], key: &Range<usize>) -> Range<usize> {
    key.start..end_of_value(text, key.end + 1)
}

fn end_of_value(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at = end_of_token(text, at).max(at + 1);
    }
    at
}

#[test]
fn a_member_is_found_with_its_whole_value() {
    let text = br#"{"a":{"b":[1,"}"]},"c":-2.5}"#;
    let keys = keys(text);
    let found: Vec<&str> = keys.iter().map(|key| str::from_utf8(&text[member(text, key)]).expect("ASCII")).collect();
    assert_eq!(found, [r#""a":{"b":[1,"}"]}"#, r#""b":[1,"}"]"#, r#""c":-2.5"#]);
}
