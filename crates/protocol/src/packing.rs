//! Several envelopes in as few `messages` frames as the size limit allows: frames are what API Gateway meters. Order is
//! kept; nothing is left out.

use crate::client_frame::Nonce;
use crate::limits::MAX_SERVER_FRAME_BYTES;
use crate::server_frame::{Delivery, ServerFrame};

/// Packs `deliveries`, in their order, into frames of at most [`MAX_SERVER_FRAME_BYTES`], each with at least one.
///
/// Answers each frame with the number of deliveries in it.
pub fn pack(deliveries: &[Delivery]) -> Vec<(String, usize)> {
    let shell = shell(None, None);
    let mut frames = Vec::new();
    let mut rest: &[String] = &deliveries.iter().map(render).collect::<Vec<_>>();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest, shell.len()));
        frames.push((fill(&shell, now), now.len()));
        rest = later;
    }
    frames
}

/// The answer to a `sync`: one frame with as many of `deliveries` as fit. `more` says whether the inbox goes on after
/// them; the frame says so too when some did not fit.
pub fn pack_page(deliveries: &[Delivery], more: bool, nonce: Option<&Nonce>) -> String {
    let rendered: Vec<String> = deliveries.iter().map(render).collect();
    // `false` is the longer of the two words.
    let taken = fitting(&rendered, shell(Some(false), nonce).len());
    fill(&shell(Some(more || taken < rendered.len()), nonce), &rendered[..taken])
}

/// Bytes of the frame that would carry `delivery` alone, as an answer to a `sync` without a nonce.
pub fn frame_bytes(delivery: &Delivery) -> usize {
    shell(Some(false), None).len() + render(delivery).len()
}

/// A `messages` frame without messages.
fn shell(more: Option<bool>, nonce: Option<&Nonce>) -> String {
    ServerFrame::Messages { messages: Vec::new(), more, nonce: nonce.cloned() }.render()
}

/// The first `[]` of a shell is its list: only the type stands before it.
fn fill(shell: &str, rendered: &[String]) -> String {
    shell.replacen("[]", &format!("[{}]", rendered.join(",")), 1)
}

/// How many of `rendered` fit into a frame around which `shell_bytes` are spent. At least one, unless there is none.
fn fitting(rendered: &[String], shell_bytes: usize) -> usize {
    let mut bytes = shell_bytes;
    let fit = rendered
        .iter()
        .take_while(|delivery| {
            bytes += delivery.len();
            let fits = bytes <= MAX_SERVER_FRAME_BYTES;
            bytes += ",".len();
            fits
        })
        .count();
    fit.max(usize::from(!rendered.is_empty()))
}

fn render(delivery: &Delivery) -> String {
    serde_json::to_string(delivery).expect("a delivery of strings, numbers and a JSON body is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_frame::tests::delivery;

    #[test]
    fn frames_stay_within_the_limit_and_keep_the_order() {
        let deliveries: Vec<Delivery> = (0..300).map(|n| delivery(n, &"x".repeat(400))).collect();
        let frames = pack(&deliveries);
        let mut unpacked = Vec::new();
        for (text, count) in &frames {
            assert!(text.len() <= MAX_SERVER_FRAME_BYTES, "{} bytes", text.len());
            let Some(ServerFrame::Messages { messages, .. }) = ServerFrame::parse(text) else { panic!("{text}") };
            assert_eq!(messages.len(), *count);
            unpacked.extend(messages);
        }
        assert_eq!(unpacked, deliveries);
        assert!(frames.len() < 10, "{} frames", frames.len());
    }

    #[test]
    fn a_frame_has_at_least_one_envelope() {
        let frames = pack(&[delivery(0, &"x".repeat(40_000)), delivery(1, "y")]);
        assert_eq!(frames.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_page_that_does_not_fit_says_that_there_is_more() {
        let deliveries: Vec<Delivery> = (0..100).map(|n| delivery(n, &"x".repeat(1_000))).collect();
        let text = pack_page(&deliveries, false, None);
        assert!(text.len() <= MAX_SERVER_FRAME_BYTES);
        let Some(ServerFrame::Messages { messages, more, .. }) = ServerFrame::parse(&text) else { panic!("{text}") };
        assert_eq!(more, Some(true));
        assert_eq!(messages, deliveries[..messages.len()]);
        let Some(ServerFrame::Messages { more, .. }) = ServerFrame::parse(&pack_page(&deliveries[..2], false, None))
        else {
            panic!("no frame")
        };
        assert_eq!(more, Some(false));
    }

    #[test]
    fn the_size_of_one_is_the_size_of_its_frame() {
        let one = delivery(0, "hello");
        assert_eq!(frame_bytes(&one), pack_page(&[one], false, None).len());
    }
}
